"""Make one text of a list; null is left out, what is no text is written as JSON writes it.

Example:
    join: {field: tags, separator: "|"}

Given:
    - {tags: [red, null, 3, true]}

Gives:
    - {tags: "red|3|true"}
"""

from __future__ import annotations

from airflow_datahub.conversion import Conversion, Convert, of_list
from airflow_datahub.texts import as_text


class Join(Conversion):
    separator: str = ","
    """What is put between the elements."""

    def conversion(self) -> Convert:
        def convert(elements: list[object]) -> str:
            return self.separator.join(as_text(self.field, each) for each in elements if each is not None)

        return of_list(self.field, convert)
