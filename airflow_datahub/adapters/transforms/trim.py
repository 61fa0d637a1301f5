"""Take white space, or other characters, from the ends of a text.

White space is what Unicode calls so, and what nobody sees: zero-width spaces and joiners and the byte order mark. What
is left may be the empty text.

Example:
    trim: {field: name}

Given:
    - {name: "  Ann \\t"}
    - {name: "\\uFEFFBob Lee\\u200B\\u00A0"}

Gives:
    - {name: Ann}
    - {name: Bob Lee}
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from airflow_datahub.characters import WHITE_SPACE
from airflow_datahub.conversion import Conversion, Convert, of_text

_STRIPS = {"both": str.strip, "left": str.lstrip, "right": str.rstrip}


class Trim(Conversion):
    characters: Annotated[str, Field(min_length=1)] | None = None
    """The characters that are taken away, each by itself and in any order; left out, all white space."""

    side: Literal["both", "left", "right"] = "both"
    """The end that is trimmed; left is where the text begins, in any script."""

    def conversion(self) -> Convert:
        strip, characters = _STRIPS[self.side], self.characters or WHITE_SPACE
        return of_text(self.field, lambda text: strip(text, characters))
