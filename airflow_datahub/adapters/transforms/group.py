"""Group the elements of a list by what they have at a path.

Example:
    group: {field: items, by: kind}

Given:
    - {items: [{kind: a, n: 1}, {kind: b, n: 2}, {kind: a, n: 3}]}

Gives:
    - {items: {a: [{kind: a, n: 1}, {kind: a, n: 3}], b: [{kind: b, n: 2}]}}
"""

from __future__ import annotations

from typing import Any

from airflow_datahub.conversion import Conversion, Convert, of_list
from airflow_datahub.elements import value_of
from airflow_datahub.paths import MISSING, FieldPath
from airflow_datahub.texts import as_text


class Group(Conversion):
    by: FieldPath
    """A path into the elements: its value, as text, names the group."""

    other: str = ""
    """The group of elements that have nothing there."""

    def conversion(self) -> Convert:
        value = value_of(self.by)

        def group(elements: list[Any]) -> dict[str, list[Any]]:
            groups: dict[str, list[Any]] = {}
            for each in elements:
                key = value(each)
                name = self.other if key is None or key is MISSING else as_text(f"{self.field}.{self.by}", key)
                groups.setdefault(name, []).append(each)
            return groups

        return of_list(self.field, group)
