"""Put other text where a text has certain ones.

Example:
    replace: {field: phone, pairs: {"(": "", ")": "", " ": "-"}}

Given:
    - {phone: "(030) 123 456"}

Gives:
    - {phone: "030-123-456"}
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

from airflow_datahub.conversion import Conversion, Convert, of_text


class Replace(Conversion):
    pairs: Annotated[dict[Annotated[str, Field(min_length=1)], str], Field(min_length=1)]
    """What is looked for, and what stands there instead. All are looked for at once: what was put in is not replaced
    again; of two that begin at one place the longer one counts."""

    ignore_case: bool = False
    """Find capital and small letters alike."""

    def conversion(self) -> Convert:
        flags = re.IGNORECASE if self.ignore_case else 0
        longest_first = sorted(self.pairs, key=len, reverse=True)
        wanted = re.compile("|".join(map(re.escape, longest_first)), flags)
        new = {old.lower() if self.ignore_case else old: text for old, text in self.pairs.items()}

        def convert(text: str) -> str:
            return wanted.sub(lambda found: new.get(found[0].lower() if self.ignore_case else found[0], found[0]), text)

        return of_text(self.field, convert)
