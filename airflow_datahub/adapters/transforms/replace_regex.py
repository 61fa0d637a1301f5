"""Put other text where a regex finds something in a text.

The regex is RE2's: it takes a bounded time and has no look-around. In the new text `\\1` is what the first group holds,
`\\g<name>` a named one.

Example:
    replace_regex: {field: phone, pattern: "[^0-9+]", with: ""}

Given:
    - {phone: "+49 (30) 123-456"}

Gives:
    - {phone: "+4930123456"}
"""

from __future__ import annotations

from pydantic import Field, model_validator

from airflow_datahub.conditions.patterns import Search, searcher
from airflow_datahub.conversion import LONGEST_TEXT, Conversion, Convert, mistake, of_text, unfit


class ReplaceRegex(Conversion):
    pattern: Search
    """The regex."""

    with_: str = Field(default="", alias="with")
    """What stands there instead; left out, nothing."""

    ignore_case: bool = False
    """Find capital and small letters alike."""

    @model_validator(mode="after")
    def _groups_exist(self) -> ReplaceRegex:
        try:
            searcher(f"(?:{self.pattern})|").sub(self.with_, "")
        except Exception as error:
            raise mistake(f"`with` names a group that `pattern` does not have: {error}") from error
        return self

    def conversion(self) -> Convert:
        pattern = searcher(self.pattern, ignore_case=self.ignore_case)

        def convert(text: str) -> str:
            try:
                made = str(pattern.sub(self.with_, text))
            except UnicodeEncodeError as error:
                raise unfit(self.field, text, "holds half a surrogate pair") from error
            if len(made) > LONGEST_TEXT:
                raise unfit(self.field, text, f"would become a text of {len(made):,} characters")
            return made

        return of_text(self.field, convert)
