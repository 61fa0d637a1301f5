"""Leave out the elements of a list that are there already; the first one stays.

Example:
    unique: {field: tags}

Given:
    - {tags: [red, blue, red]}

Gives:
    - {tags: [red, blue]}
"""

from __future__ import annotations

from typing import Any

from airflow_datahub.conversion import Conversion, Convert, of_list
from airflow_datahub.elements import Key, key_of


class Unique(Conversion):
    by: Key = None
    """A path into the elements: those are equal in which the same is there; left out, wholly equal ones."""

    def conversion(self) -> Convert:
        key = key_of(self.field, self.by)

        def convert(elements: list[Any]) -> list[Any]:
            first: dict[bytes | None, Any] = {}
            for each in elements:
                first.setdefault(key(each), each)
            return list(first.values())

        return of_list(self.field, convert)
