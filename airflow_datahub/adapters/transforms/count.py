"""Count the elements of a list, or the fields of an object.

Example:
    count: {field: items, to: number}

Given:
    - {items: [a, b]}

Gives:
    - {items: [a, b], number: 2}
"""

from __future__ import annotations

from typing import Any

from airflow_datahub.conversion import Conversion, Convert, unfit


class Count(Conversion):
    def conversion(self) -> Convert:
        return self._count

    def _count(self, value: Any) -> int:
        if value.__class__ not in (list, dict):
            raise unfit(self.field, value, "is no list and no object")
        return len(value)
