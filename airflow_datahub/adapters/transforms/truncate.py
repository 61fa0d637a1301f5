"""Cut a text that is too long.

A combining mark is never cut off from its letter.

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

import unicodedata
from typing import Annotated, Literal

from pydantic import Field, model_validator

from airflow_datahub.conversion import Conversion, Convert, mistake, of_text


class Truncate(Conversion):
    length: Annotated[int, Field(ge=1)]
    """How long the text may be, suffix included."""

    unit: Literal["characters", "bytes"] = "characters"
    """What is counted; bytes are those of UTF-8, as databases and feeds count them."""

    suffix: str = ""
    """What is put behind a text that was cut."""

    words: bool = False
    """Cut at the end of a word, where there is one."""

    @model_validator(mode="after")
    def _suffix_fits(self) -> Truncate:
        if self._size(self.suffix) >= self.length:
            raise mistake("`suffix` alone is as long as `length`")
        return self

    def conversion(self) -> Convert:
        room = self.length - self._size(self.suffix)

        def convert(text: str) -> str:
            if self._size(text) <= self.length:
                return text
            return self._cut(text, room).rstrip() + self.suffix

        return of_text(self.field, convert)

    def _cut(self, text: str, room: int) -> str:
        end = room if self.unit == "characters" else len(_whole(text.encode("utf-8", "surrogatepass")[:room]))
        if self.words and not text[end : end + 1].isspace():
            last = max(text.rfind(space, 0, end) for space in " \t\n")
            end = last if last > 0 else end
        while end and unicodedata.combining(text[end : end + 1] or " "):
            end -= 1
        return text[:end]

    def _size(self, text: str) -> int:
        return len(text) if self.unit == "characters" else len(text.encode("utf-8", "surrogatepass"))


def _whole(start: bytes) -> str:
    """The characters of which all bytes are there."""
    for end in range(len(start), max(len(start) - 4, -1), -1):
        try:
            return start[:end].decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            continue
    return ""
