"""Make a name for an address of a text in any script: small letters and digits with hyphens between the words.

A text of which nothing is left is rejected.

Example:
    slugify: {field: title, to: slug}

Given:
    - {title: T-Shirt}
    - {title: "Crème brûlée & Łódź"}

Gives:
    - {title: T-Shirt, slug: t-shirt}
    - {title: "Crème brûlée & Łódź", slug: creme-brulee-lodz}
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from airflow_datahub.conversion import Conversion, Convert, of_text, unfit


class Slugify(Conversion):
    separator: Annotated[str, Field(pattern="^[-_.~]$")] = "-"
    """What stands between words."""

    max_length: Annotated[int, Field(ge=1, le=1000)] | None = None
    """A longer name is cut at the end of a word."""

    def conversion(self) -> Convert:
        from slugify import slugify

        def convert(text: str) -> str:
            readable = text.encode("utf-8", "ignore").decode()  # not half a surrogate pair
            made = slugify(readable, separator=self.separator, max_length=self.max_length or 0, word_boundary=True)
            if not made:
                raise unfit(self.field, text, "leaves nothing for a name")
            return made

        return of_text(self.field, convert)
