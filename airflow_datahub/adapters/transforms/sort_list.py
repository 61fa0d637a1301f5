"""Put the elements of a list in order: numbers by their size, texts by their characters; null comes last.

Numbers and texts in one list cannot be compared: it is rejected.

Example:
    sort_list: {field: sizes, by: price, descending: true}

Given:
    - {sizes: [{size: S, price: 5}, {size: L, price: 9}]}

Gives:
    - {sizes: [{size: L, price: 9}, {size: S, price: 5}]}
"""

from __future__ import annotations

from typing import Any

from airflow_datahub.conditions.values import is_number
from airflow_datahub.conversion import Conversion, Convert, of_list, unfit
from airflow_datahub.elements import Key, value_of
from airflow_datahub.paths import MISSING


class SortList(Conversion):
    by: Key = None
    """A path into the elements, by whose values they are sorted; left out, by themselves."""

    descending: bool = False
    """The largest first; null comes last all the same."""

    def conversion(self) -> Convert:
        value = value_of(self.by)

        def order(elements: list[Any]) -> list[Any]:
            keyed = [(value(each), each) for each in elements]
            known = [pair for pair in keyed if pair[0] is not None and pair[0] is not MISSING]
            self._check([key for key, _ in known])
            known.sort(key=lambda pair: pair[0], reverse=self.descending)
            return [each for _, each in known] + [e for key, e in keyed if key is None or key is MISSING]

        return of_list(self.field, order)

    def _check(self, keys: list[Any]) -> None:
        numbers = [is_number(key) and key == key for key in keys]
        if not all(numbers) and not all(isinstance(key, str) for key in keys):
            odd = next(key for key, number in zip(keys, numbers, strict=True) if not number)
            raise unfit(self.field, odd, "cannot be compared with the others: all must be numbers, or all texts")
