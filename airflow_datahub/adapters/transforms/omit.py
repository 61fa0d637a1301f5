"""Keep every field but the ones that are named.

Example:
    omit: {fields: [internal, user.email]}

Given:
    - {id: a, internal: 7, user: {name: Ada, email: ada@example.com}}

Gives:
    - {id: a, user: {name: Ada}}
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from airflow_datahub.contract import Code, Function, Record, Run, Transform
from airflow_datahub.paths import FieldPath, deleter, looked_into, parse


class Omit(Transform):
    fields: Annotated[list[FieldPath], Field(min_length=1)]
    """The fields that are left out, one after another; one that is missing is no mistake."""

    def carries(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        return None if looked_into(names, *self.fields) else names

    def compile(self, run: Run) -> Function:
        deletions = [deleter(path) for path in self.fields]

        def omit(record: Record) -> Record:
            for delete in deletions:
                delete(record)
            return record

        return omit

    def inline(self, code: Code) -> bool:
        ways = [parse(path) for path in self.fields]
        if not code.reaches(*ways):
            return False
        for names in ways:
            code.remove(names)
        return True
