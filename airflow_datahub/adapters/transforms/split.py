"""Cut a text into a list of parts. An empty text gives an empty list.

Example:
    split: {field: tags, separator: ","}

Given:
    - {tags: "red, green,blue"}

Gives:
    - {tags: [red, green, blue]}
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Annotated

from pydantic import Field, model_validator

from airflow_datahub.characters import WHITE_SPACE
from airflow_datahub.conditions.patterns import Search
from airflow_datahub.conversion import Conversion, Convert, mistake, of_text, unfit
from airflow_datahub.matching import matcher

_MOST_PARTS = 100_000


class Split(Conversion):
    separator: Annotated[str, Field(min_length=1)] | None = None
    """The text that stands between the parts; left out, a comma."""

    pattern: Search | None = None
    """Instead of `separator`: a regex for what stands between them (RE2's syntax: no look-around)."""

    limit: Annotated[int, Field(ge=1, le=_MOST_PARTS)] | None = None
    """Parts at most: the last one holds the rest. Without it a text of more than 100,000 parts is rejected."""

    trim: bool = True
    """Take white space from the ends of each part."""

    keep_empty: bool = True
    """Keep the parts in which nothing stands; false leaves them out."""

    @model_validator(mode="after")
    def _one_form(self) -> Split:
        if self.separator is not None and self.pattern is not None:
            raise mistake("takes `separator` or `pattern`, not both")
        return self

    def conversion(self) -> Convert:
        cut = self._cutter()

        def convert(text: str) -> list[str]:
            parts = cut(text) if text else []
            if len(parts) > _MOST_PARTS:
                raise unfit(self.field, text, f"has more than {_MOST_PARTS:,} parts; `limit` keeps the rest together")
            if self.trim:
                parts = [part.strip(WHITE_SPACE) for part in parts]
            return parts if self.keep_empty else [part for part in parts if part]

        return of_text(self.field, convert)

    def _cutter(self) -> Callable[[str], list[str]]:
        most = (self.limit or _MOST_PARTS + 1) - 1
        if self.pattern is None:
            separator = self.separator or ","
            return lambda text: text.split(separator, most)
        matches = matcher(self.field, self.pattern)

        def cut(text: str) -> list[str]:
            spans = [match.span() for match in islice(filter(lambda match: match[0], matches(text)), most)]
            starts, ends = [0, *(end for _, end in spans)], [*(start for start, _ in spans), len(text)]
            return [text[start:end] for start, end in zip(starts, ends, strict=True)]

        return cut
