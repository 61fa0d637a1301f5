"""Texts of unknown origin on their way into the store."""

from __future__ import annotations

from typing import overload

TEXT_LIMIT = 2048
"""Characters of a reason, an error or a log line that are kept."""


@overload
def storable(text: str) -> str: ...
@overload
def storable(text: None) -> None: ...
def storable(text: str | None) -> str | None:
    """The text as a database takes it: without NUL and lone surrogates, which rejects are full of, and not endless."""
    if text is None:
        return None
    cut = text if len(text) <= TEXT_LIMIT else text[:TEXT_LIMIT] + "…"
    return cut.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()
