"""Set a field to a fixed value, whether it is there or not.

Example:
    set: {field: source.name, value: datasync}

Given:
    - {id: a}
    - {id: b, source: {name: other, page: 2}}

Gives:
    - {id: a, source: {name: datasync}}
    - {id: b, source: {name: datasync, page: 2}}
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from airflow_datahub.conditions.values import Constant
from airflow_datahub.contract import Code, Function, Record, Run, Transform
from airflow_datahub.paths import FieldPath, looked_into, parse, setter


class Set(Transform):
    field: FieldPath
    """The field that is set; objects on the way to it are made."""

    value: Constant
    """The value: any JSON. A list or an object is copied into each record."""

    def carries(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        return None if looked_into(names, self.field) else names

    def compile(self, run: Run) -> Function:
        value, put = self.value, setter(self.field)
        own: Callable[[Any], Any] = deepcopy if isinstance(value, list | dict) else lambda value: value

        def assign(record: Record) -> Record:
            put(record, own(value))
            return record

        return assign

    def inline(self, code: Code) -> bool:
        names = parse(self.field)
        if isinstance(self.value, list | dict) or not code.reaches(names):
            return False
        code.put(names, code.constant(self.value))
        return True
