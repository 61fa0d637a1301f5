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
from airflow_datahub.contract import Code, Function, Record, Run, Transform
from airflow_datahub.paths import MISSING, FieldPath, getter, parse, read_by, setter


class Default(Transform):
    field: FieldPath
    """The field that is filled; objects on the way to it are made."""

    value: Constant
    """The value: any JSON. A list or an object is copied into each record."""

    def carries(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        return None if read_by(names, self.field) else names

    def compile(self, run: Run) -> Function:
        value, get, put = self.value, getter(self.field), setter(self.field)
        own: Callable[[Any], Any] = deepcopy if isinstance(value, list | dict) else lambda value: value

        def fill(record: Record) -> Record:
            found = get(record)
            if found is None or found is MISSING:
                put(record, own(value))
            return record

        return fill

    def inline(self, code: Code) -> bool:
        names = parse(self.field)
        if isinstance(self.value, list | dict) or not code.reaches(names):
            return False
        with code.under(f"if {code.value_at(names)} is None"):
            code.put(names, code.constant(self.value))
        return True
