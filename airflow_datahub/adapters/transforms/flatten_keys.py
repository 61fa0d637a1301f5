"""Bring the fields of nested objects to the top: `{a: {b: 1}}` becomes `{a_b: 1}`. Lists stay as they are.

A name that is there already rejects the record.

Example:
    flatten_keys: {}

Given:
    - {id: 1, user: {name: Ann, address: {city: Rome}}}

Gives:
    - {id: 1, user_name: Ann, user_address_city: Rome}
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from airflow_datahub.contract import Function, Record, Run, Transform
from airflow_datahub.errors import RejectRecord

_DEEPEST = 64


class FlattenKeys(Transform):
    separator: Annotated[str, Field(min_length=1)] = "_"
    """What stands between the names."""

    fields: Annotated[list[str], Field(min_length=1)] | None = None
    """Only these fields of the record are flattened; left out, all."""

    depth: Annotated[int, Field(ge=1, le=_DEEPEST)] = _DEEPEST
    """How deep objects are opened."""

    def compile(self, run: Run) -> Function:
        def flatten(record: Record) -> Record:
            made: Record = {}
            for name, value in record.items():
                opened = self.fields is None or name in self.fields
                self._add(made, name, value, self.depth if opened else 0)
            return made

        return flatten

    def _add(self, made: Record, name: str, value: Any, depth: int) -> None:
        if value.__class__ is dict and value and depth:
            for inner, each in value.items():
                self._add(made, f"{name}{self.separator}{inner}", each, depth - 1)
        elif name in made:
            raise RejectRecord(f"{name}: two fields would get this name", name)
        else:
            made[name] = value
