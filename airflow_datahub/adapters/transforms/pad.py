"""Make a text as long as it must be by putting a character before or behind it.

Example:
    pad: {field: sku, length: 6, with: "0"}

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
    """How long the text is to be at least, in characters."""

    with_: Annotated[str, Field(min_length=1, max_length=1, alias="with")] = " "
    """The character that is put there."""

    side: Literal["start", "end"] = "start"
    """Where it is put."""

    def conversion(self) -> Convert:
        just = str.rjust if self.side == "start" else str.ljust
        return of_text(self.field, lambda text: just(text, self.length, self.with_))
