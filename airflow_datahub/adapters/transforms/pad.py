"""Make a text as long as it must be by putting a character before or behind it. A longer text stays as it is.

Example:
    pad: {field: sku, length: 6, character: "0"}

Given:
    - {sku: "123"}
    - {sku: "1234567"}

Gives:
    - {sku: "000123"}
    - {sku: "1234567"}
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from airflow_datahub.conversion import Conversion, Convert, of_text


class Pad(Conversion):
    length: Annotated[int, Field(ge=1, le=10_000)]
    """Characters that the text has at least, counted as databases do: an accent of its own is one."""

    side: Literal["left", "right"] = "left"
    """Where the characters are put; left is where the text begins, in any script."""

    character: Annotated[str, Field(min_length=1, max_length=1)] = " "
    """The character that is put there."""

    def conversion(self) -> Convert:
        pad = str.rjust if self.side == "left" else str.ljust
        length, character = self.length, self.character
        return of_text(self.field, lambda text: pad(text, length, character))
