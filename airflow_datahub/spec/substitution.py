"""`${NAME}` and `${NAME:-default}`: what a spec takes from the environment when it is read."""

from __future__ import annotations

import re
from collections.abc import Mapping

_PLACE = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")
_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)


def substitute(text: str, environ: Mapping[str, str]) -> tuple[str, list[str]]:
    """The text with every `${NAME}` replaced and `$${` as `${`, and what is wrong with it.

    The default counts where the variable is missing or empty, as in a shell. What is wrong stays as it was."""
    mistakes: list[str] = []

    def replace(place: re.Match[str]) -> str:
        if place.group() == "$${":
            return "${"
        wanted = _NAME.fullmatch(place.group(1) or "")
        if wanted is None:
            mistakes.append(f"{place.group()[:80]!r} names no environment variable; write '$${{' for a plain '${{'")
        elif wanted[2] is not None:
            return environ.get(wanted[1]) or str(wanted[2])
        elif wanted[1] in environ:
            return environ[wanted[1]]
        else:
            mistakes.append(
                f"the environment variable {wanted[1]!r} is not set; set it or write a default: ${{{wanted[1]}:-…}}"
            )
        return place.group()

    return _PLACE.sub(replace, text), mistakes
