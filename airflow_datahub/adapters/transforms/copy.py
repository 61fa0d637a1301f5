"""Put what is in a field into another one, too.

Example:
    copy: {from: email, to: contact.email}

Given:
    - {email: ann@example.com}

Gives:
    - {email: ann@example.com, contact: {email: ann@example.com}}
"""

from __future__ import annotations

from copy import deepcopy

from pydantic import Field

from airflow_datahub.contract import Function, Record, Run, Transform
from airflow_datahub.conversion import unfit
from airflow_datahub.paths import MISSING, FieldPath, getter, looked_into, read_by, setter


class Copy(Transform):
    from_: FieldPath = Field(alias="from")
    """The field that is copied."""

    to: FieldPath
    """The field that gets it, too."""

    required: bool = False
    """Reject a record in which the field is missing."""

    def carries(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        return None if read_by(names, self.from_) or looked_into(names, self.to) else names

    def compile(self, run: Run) -> Function:
        get, put = getter(self.from_), setter(self.to)

        def copy(record: Record) -> Record:
            value = get(record)
            if value is not MISSING:
                put(record, deepcopy(value) if value.__class__ in (list, dict) else value)
            elif self.required:
                raise unfit(self.from_, None, "is missing, and required")
            return record

        return copy
