"""Put another text wherever a text has a certain one, letter for letter; `replace_regex` looks for patterns.

A record is rejected whose text has, or would get, more than 1,000,000 characters.

Example:
    replace: {field: phone, pairs: {"(": "", ")": "", " ": "-"}}

Given:
    - {phone: "(030) 123 456"}

Gives:
    - {phone: "030-123-456"}
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Annotated

from pydantic import Field, model_validator

from airflow_datahub.conversion import LONGEST_TEXT, Conversion, Convert, mistake, of_text, unfit


class Replace(Conversion):
    find: Annotated[str, Field(min_length=1)] | None = None
    """The text that is looked for; capital and small letters differ."""

    with_: str | None = Field(default=None, alias="with")
    """What stands there instead; "" takes it away."""

    pairs: Annotated[dict[Annotated[str, Field(min_length=1)], str], Field(min_length=1)] | None = None
    """Instead of `find` and `with`: several texts, each with what stands there instead. All are looked for at
    once: what was put in is not replaced again, and of two that begin at one place the longer one counts."""

    count: Annotated[int, Field(ge=1)] | None = None
    """Replace at most so many, from the left; left out, all."""

    @model_validator(mode="after")
    def _one_form(self) -> Replace:
        if (self.find is None) is not (self.with_ is None) or (self.find is None) is (self.pairs is None):
            raise mistake("takes `find` and `with`, or `pairs` with old: new")
        return self

    def conversion(self) -> Convert:
        pairs = self.pairs or {self.find or "": self.with_ or ""}
        wanted = re.compile("|".join(map(re.escape, sorted(pairs, key=len, reverse=True))))
        longest, count = max(map(len, pairs.values())), self.count or 0

        def convert(text: str) -> str:
            if len(text) * longest > LONGEST_TEXT:
                found = islice(wanted.finditer(text), count or None)
                length = len(text) + sum(len(pairs[match[0]]) - len(match[0]) for match in found)
                if length > LONGEST_TEXT:
                    raise unfit(self.field, text, f"would grow to {length:,}, over {LONGEST_TEXT:,}, characters")
            return wanted.sub(lambda match: pairs[match[0]], text, count)

        return of_text(self.field, convert)
