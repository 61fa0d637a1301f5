"""Reject records in which one of several fields is missing or null; the reason names all that are.

Example:
    require: {fields: [id, price]}

Given:
    - {id: 1, price: 5}

Gives:
    - {id: 1, price: 5}
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from airflow_datahub.contract import Function, Record, Run, Transform
from airflow_datahub.errors import RejectRecord
from airflow_datahub.paths import MISSING, FieldPath, getter, looked_into, read_by


class Require(Transform):
    fields: Annotated[list[FieldPath], Field(min_length=1)]
    """The fields that must be there."""

    empty: bool = True
    """Take an empty text, list or object for a value."""

    def carries(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        return None if read_by(names, *self.fields) or looked_into(names, *self.fields) else names

    def compile(self, run: Run) -> Function:
        getters = [(name, getter(name)) for name in self.fields]
        empty: tuple[object, ...] = () if self.empty else ("", [], {})

        def lacks(value: object) -> bool:
            return value is None or value is MISSING or value in empty

        def require(record: Record) -> Record:
            absent = [name for name, get in getters if lacks(get(record))]
            if absent:
                what = "missing or null" if self.empty else "missing, null or empty"
                raise RejectRecord(f"{', '.join(absent)}: required, and {what}", absent[0])
            return record

        return require
