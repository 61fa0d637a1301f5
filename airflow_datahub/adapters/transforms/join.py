"""Make one text of a list.

Null is left out; numbers, true and false are written as JSON writes them. An empty list gives the empty
text. A list or an object among the elements rejects the record, and so does a result of over 1,000,000 characters.

Example:
    join: {field: tags, separator: "|"}

Given:
    - {tags: [red, null, 3, true]}

Gives:
    - {tags: "red|3|true"}
"""

from __future__ import annotations

from typing import Any

from airflow_datahub.conversion import LONGEST_TEXT, Conversion, Convert, of_list, unfit
from airflow_datahub.texts import as_text


class Join(Conversion):
    separator: str = ","
    """What is put between the elements."""

    def conversion(self) -> Convert:
        field, separator = self.field, self.separator

        def convert(elements: list[Any]) -> str:
            texts = [as_text(field, each) for each in elements if each is not None]
            length = sum(map(len, texts)) + len(separator) * (len(texts) - 1)
            if length > LONGEST_TEXT:
                raise unfit(field, elements, f"would become a text of {length:,}, over {LONGEST_TEXT:,}, characters")
            return separator.join(texts)

        return of_list(field, convert)
