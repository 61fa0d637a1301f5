"""Keep only the fields that are named, in the order in which they are named.

Example:
    pick: {fields: [id, user.name]}

Given:
    - {id: a, internal: 7, user: {name: Ada, email: ada@example.com}}
    - {id: b}

Gives:
    - {id: a, user: {name: Ada}}
    - {id: b}
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from airflow_datahub.contract import Function, Record, Run, Transform
from airflow_datahub.errors import RejectRecord
from airflow_datahub.paths import MISSING, FieldPath, getter, looked_into, parse, setter


class Pick(Transform):
    fields: Annotated[list[FieldPath], Field(min_length=1)]
    """The fields that are kept. They may lie in objects, not in lists: there, name the whole list."""

    required: bool = False
    """Reject a record in which one of the fields is missing."""

    def carries(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        return None if looked_into(names, *self.fields) else names

    def compile(self, run: Run) -> Function:
        names = [parse(path) for path in self.fields]
        if all(len(name) == 1 for name in names) and not self.required:
            return _top_level([name for (name,) in names])
        picks = [(path, parse(path), getter(path), setter(path)) for path in self.fields]
        required = self.required

        def pick(record: Record) -> Record:
            kept: Record = {}
            for path, way, get, put in picks:
                value = get(record)
                if value is not MISSING:
                    _refuse_lists(record, way, path)
                    put(kept, value)
                elif required:
                    raise RejectRecord(f"{path}: required, and missing", path)
            return kept

        return pick


def _top_level(names: list[str]) -> Function:
    return lambda record: {name: record[name] for name in names if name in record}


def _refuse_lists(record: Record, way: tuple[str, ...], path: str) -> None:
    value: Any = record
    for name in way[:-1]:
        value = value[name]
        if isinstance(value, list):
            raise RejectRecord(f"{path}: lies in a list, of which only the whole can be picked", path)
