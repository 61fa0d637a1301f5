"""Fill a field that is missing or null with a fixed value.

Example:
    default: {field: country, value: DE}

Given:
    - {id: a, country: FR}
    - {id: b, country: null}
    - {id: c}

Gives:
    - {id: a, country: FR}
    - {id: b, country: DE}
    - {id: c, country: DE}
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from airflow_datahub.conditions.values import Constant
from airflow_datahub.contract import Function, Record, Run, Transform
from airflow_datahub.paths import MISSING, FieldPath, getter, parse, read_by, setter


class Default(Transform):
    field: FieldPath
    """The field that is filled; objects on the way to it are made."""

    value: Constant
    """The value: any JSON. A list or an object is copied into each record."""

    def carries(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        return None if read_by(names, self.field) else names

    def compile(self, run: Run) -> Function:
        value = self.value
        names = parse(self.field)
        if len(names) == 1 and not isinstance(value, list | dict):
            return _top_level(names[0], value)
        get, put = getter(self.field), setter(self.field)
        own: Callable[[Any], Any] = deepcopy if isinstance(value, list | dict) else lambda value: value

        def fill(record: Record) -> Record:
            found = get(record)
            if found is None or found is MISSING:
                put(record, own(value))
            return record

        return fill if len(names) != 2 or isinstance(value, list | dict) else _inside(*names, value, fill)


def _inside(field: str, name: str, value: object, otherwise: Callable[[Record], Record]) -> Function:
    """A field of an object: the object is copied once."""

    def fill(record: Record) -> Record:
        holder = record.get(field)
        if holder.__class__ is not dict:
            return otherwise(record)
        if holder.get(name) is None:
            record[field] = {**holder, name: value}
        return record

    return fill


def _top_level(name: str, value: object) -> Function:
    def fill(record: Record) -> Record:
        if record.get(name) is None:
            record[name] = value
        return record

    return fill
