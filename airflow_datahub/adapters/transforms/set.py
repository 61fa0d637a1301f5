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

from copy import deepcopy

from airflow_datahub.conditions.values import Constant
from airflow_datahub.contract import Function, Record, Run, Transform
from airflow_datahub.paths import FieldPath, looked_into, parse, setter


class Set(Transform):
    field: FieldPath
    """The field that is set; objects on the way to it are made."""

    value: Constant
    """The value: any JSON. A list or an object is copied into each record."""

    def carries(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        return None if looked_into(names, self.field) else names

    def compile(self, run: Run) -> Function:
        value = self.value
        if isinstance(value, list | dict):
            return _copies(self.field, value)
        names = parse(self.field)
        if len(names) == 1:
            return _top_level(names[0], value)
        put = setter(self.field)

        def assign(record: Record) -> Record:
            put(record, value)
            return record

        return assign


def _top_level(name: str, value: object) -> Function:
    def assign(record: Record) -> Record:
        record[name] = value
        return record

    return assign


def _copies(field: str, value: object) -> Function:
    put = setter(field)

    def assign(record: Record) -> Record:
        put(record, deepcopy(value))
        return record

    return assign
