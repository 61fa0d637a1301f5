"""Cut a text into a list of parts.

Example:
    split: {field: tags, separator: ","}

Given:
    - {tags: "red, green,blue"}

Gives:
    - {tags: [red, green, blue]}
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from airflow_datahub.conversion import Conversion, Convert, of_text


class Split(Conversion):
    separator: Annotated[str, Field(min_length=1)] = ","
    """What stands between the parts."""

    limit: Annotated[int, Field(ge=1)] | None = None
    """Parts at most: the last one holds the rest."""

    trim: bool = True
    """Take white space from the ends of each part."""

    keep_empty: bool = False
    """Keep parts in which nothing stands."""

    def conversion(self) -> Convert:
        most = -1 if self.limit is None else self.limit - 1

        def convert(text: str) -> list[str]:
            parts = text.split(self.separator, most)
            if self.trim:
                parts = [part.strip() for part in parts]
            return parts if self.keep_empty else [part for part in parts if part]

        return of_text(self.field, convert)
