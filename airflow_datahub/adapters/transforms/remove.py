"""Remove a field, or several.

Example:
    remove: {field: user.email}

Given:
    - {id: a, user: {name: Ada, email: ada@example.com}}
    - {id: b}

Gives:
    - {id: a, user: {name: Ada}}
    - {id: b}
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from airflow_datahub.contract import Code, Function, Record, Run, Transform
from airflow_datahub.errors import RejectRecord
from airflow_datahub.paths import MISSING, FieldPath, deleter, getter, looked_into, parse


class Remove(Transform):
    field: FieldPath | None = None
    """The field that is removed. An element of a list closes the gap that it leaves."""

    fields: Annotated[list[FieldPath], Field(min_length=1)] | None = None
    """Instead of `field`: several fields, removed one after another."""

    required: bool = False
    """Reject a record in which one of the fields is missing."""

    @model_validator(mode="after")
    def _one_form(self) -> Remove:
        if (self.field is None) is (self.fields is None):
            raise PydanticCustomError("remove", "takes `field` or `fields`, one of them")
        return self

    def carries(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        return None if looked_into(names, *(self.fields or [self.field or ""])) else names

    def compile(self, run: Run) -> Function:
        paths = self.fields or [self.field or ""]
        removals = [(path, getter(path), deleter(path)) for path in paths]
        required = self.required

        def remove(record: Record) -> Record:
            for path, get, delete in removals:
                if required and get(record) is MISSING:
                    raise RejectRecord(f"{path}: required, and missing", path)
                delete(record)
            return record

        return remove

    def inline(self, code: Code) -> bool:
        ways = [parse(path) for path in self.fields or [self.field or ""]]
        if self.required or not code.reaches(*ways):
            return False
        for names in ways:
            code.remove(names)
        return True
