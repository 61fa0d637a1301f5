"""Take secrets out of texts."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

MASKED = "***"
SHORTEST = 5
"""Characters of a secret that is masked, as in Airflow's own logs: a shorter one would garble other words."""
PART = 8
"""Characters of a secret whose rest was cut off that are masked, too."""

_NAMES = re.compile(
    r"(password|passwd|passphrase|secret|token|credentials?|authorization|(api|private|access)_?key)$", re.IGNORECASE
)
_ENDS = re.compile(r"(?=[…'\"]|\.\.\.|$)")
"""Where a text may have been cut."""


class Mask:
    """Knows every form in which secrets could turn up in a text. It shows none of them."""

    def __init__(self, secrets: Iterable[str] = (), also: Callable[[str], None] | None = None):
        """`also` is told every secret that is new."""
        self._forms: tuple[str, ...] = ()
        self._pattern = re.compile("(?!)")
        self._also = also
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str | None) -> None:
        """Know one more secret, such as a token that was just fetched."""
        if not secret or secret in self._forms:
            return
        self._forms = tuple(sorted({*self._forms, *forms(secret)}, key=len, reverse=True))  # the longest first
        self._pattern = re.compile("|".join(map(_escaped, self._forms)))
        if self._also:
            self._also(secret)

    @property
    def forms(self) -> tuple[str, ...]:
        """All that is taken out, for a log that masks by itself."""
        return self._forms

    def __call__(self, text: str) -> str:
        text = self._pattern.sub(MASKED, text)
        begun = [form for form in self._forms if form[:PART] in text]
        return _without_parts(text, begun) if begun else text


def _escaped(form: str) -> str:
    """A pattern that finds a form also where it was quoted, even several times: JSON in a text that Python shows."""
    return "".join(
        r"\\+" if letter == "\\" else r"\\*" + letter if letter in "'\"/" else re.escape(letter) for letter in form
    )


def _without_parts(text: str, begun: list[str]) -> str:
    """Whoever cuts a text for a message may leave the beginning of a secret."""
    for place in reversed([found.start() for found in _ENDS.finditer(text)]):
        head = text[:place]
        length = max((_overlap(head, form) for form in begun), default=0)
        if length:
            text = head[:-length] + MASKED + text[place:]
    return text


def _overlap(head: str, form: str) -> int:
    """How many characters of a form the text ends with, at least PART."""
    return next((n for n in range(len(form) - 1, PART - 1, -1) if head.endswith(form[:n])), 0)


def forms(secret: str) -> set[str]:
    """As it is, in a URL (its escapes in capitals or small letters), in JSON, HTML and Python's own notation, in Base64
    of both alphabets."""
    packed = base64.b64encode(secret.encode())
    safe = base64.urlsafe_b64encode(secret.encode())
    quoted = {quote(secret), quote(secret, safe=""), quote_plus(secret)}
    inside = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    inside |= {text.replace("/", "\\/") for text in inside}
    shown = {repr(secret)[1:-1], ascii(secret)[1:-1], html.escape(secret), html.escape(secret, False)}
    written = {secret, *quoted, *map(_in_small, quoted), *inside, *shown}
    return written | {packed.decode(), packed.decode().rstrip("="), safe.decode(), safe.decode().rstrip("=")}


def _in_small(quoted: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda escape: escape[0].lower(), quoted)


def secrets_in(login: str | None, password: str | None, extra: Mapping[str, Any]) -> Iterator[str]:
    """What must not be shown of a connection: its password, what its extra holds under the name of a secret, and login
    and password as basic authentication packs them."""
    for secret in filter(None, (password, *_named(extra))):
        if len(secret) >= SHORTEST:
            yield secret
    if password:
        yield from (basic(login or "", password), basic(quote_plus(login or ""), quote_plus(password)))


def basic(login: str, password: str) -> str:
    """Login and password as basic authentication packs them."""
    return base64.b64encode(f"{login}:{password}".encode()).decode()


def _named(extra: Any, secret: bool = False) -> Iterator[str]:
    if isinstance(extra, Mapping):
        for name, value in extra.items():
            yield from _named(value, secret or bool(_NAMES.search(str(name))))
    elif isinstance(extra, list):
        for value in extra:
            yield from _named(value, secret)
    elif secret and isinstance(extra, str):
        yield extra
