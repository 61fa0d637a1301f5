"""Take white space, or other characters, from the ends of a text.

White space is what Unicode calls so, and the marks that nobody sees: zero-width spaces and the byte order mark.

Example:
    trim: {field: name}

Given:
    - {name: "  Ann \\t"}
    - {name: "\\uFEFFBob\\u200B"}

Gives:
    - {name: Ann}
    - {name: Bob}
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from airflow_datahub.conversion import Conversion, Convert, of_text

_UNSEEN = "\u200b\u200c\u200d\u2060\ufeff"
_SPACES = "".join(chr(code) for code in range(0x3001) if chr(code).isspace()) + _UNSEEN


class Trim(Conversion):
    characters: Annotated[str, Field(min_length=1)] | None = None
    """The characters that are taken away; left out, all white space."""

    side: Literal["both", "start", "end"] = "both"
    """Which end is trimmed."""

    def conversion(self) -> Convert:
        taken = self.characters or _SPACES
        strip = {"both": str.strip, "start": str.lstrip, "end": str.rstrip}[self.side]
        return of_text(self.field, lambda text: strip(text, taken))
