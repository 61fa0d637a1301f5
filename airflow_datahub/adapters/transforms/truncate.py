"""Cut a text that is too long, for a column or a feed that takes only so much.

What is seen as one character is never cut apart: a letter and its accents, an emoji of several, a flag. White space
before the cut is taken away.

Example:
    truncate: {field: title, length: 12, suffix: "…", words: true}

Given:
    - {title: Organic cotton T-Shirt}
    - {title: Socks}

Gives:
    - {title: "Organic…"}
    - {title: Socks}
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import Field, model_validator

from airflow_datahub.characters import whole
from airflow_datahub.conversion import Conversion, Convert, mistake, of_text, unfit


class Truncate(Conversion):
    length: Annotated[int, Field(ge=1)] | None = None
    """Characters that the text may have, suffix included, counted as databases do: an accent of its own is one."""

    bytes: Annotated[int, Field(ge=1)] | None = None
    """Instead of `length`: bytes that the text may have in UTF-8, suffix included."""

    suffix: str = ""
    """What is put behind a text that was cut."""

    words: bool = False
    """Cut at the end of a word; within it only where the first word alone is too long."""

    @model_validator(mode="after")
    def _fits(self) -> Truncate:
        if (self.length is None) is (self.bytes is None):
            raise mistake("takes `length` or `bytes`, one of them")
        if self._room() < 1:
            raise mistake("leaves no room: `suffix` alone is as long as the text may be")
        return self

    def conversion(self) -> Convert:
        end_of, words, suffix = self._end(), self.words, self.suffix

        def convert(text: str) -> str:
            end = end_of(text)
            if end is None:
                return text
            start = text[: whole(text, end)]
            return (_whole_words(start, text[len(start) :]) if words else start).rstrip() + suffix

        return of_text(self.field, convert)

    def _room(self) -> int:
        return self.length - len(self.suffix) if self.length else (self.bytes or 0) - len(self.suffix.encode())

    def _end(self) -> Callable[[str], int | None]:
        """A function that tells how many characters there is room for; None where the text is short enough."""
        room, length = self._room(), self.length
        if length:
            return lambda text: room if len(text) > length else None

        def end(text: str) -> int | None:
            encoded = _encoded(self.field, text)
            return len(encoded[:room].decode(errors="ignore")) if len(encoded) > (self.bytes or 0) else None

        return end


def _encoded(field: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        reason = "holds half a surrogate pair; `normalize_unicode` with `remove_control: true` takes it out"
        raise unfit(field, text, reason) from error


def _whole_words(start: str, rest: str) -> str:
    if start[-1:].isspace() or rest[:1].isspace():
        return start
    words = start.rsplit(None, 1)
    return words[0] if len(words) > 1 else start
