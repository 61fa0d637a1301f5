"""Take the first of several fields in which something is.

Example:
    coalesce: {fields: [mobile, phone], to: contact}

Given:
    - {mobile: null, phone: "030 123"}

Gives:
    - {mobile: null, phone: "030 123", contact: "030 123"}
"""

from __future__ import annotations

from copy import deepcopy
from typing import Annotated

from pydantic import Field

from airflow_datahub.contract import Function, Record, Run, Transform
from airflow_datahub.errors import RejectRecord
from airflow_datahub.paths import MISSING, FieldPath, getter, looked_into, read_by, setter


class Coalesce(Transform):
    fields: Annotated[list[FieldPath], Field(min_length=1)]
    """The fields, in order."""

    to: FieldPath
    """The field that gets the value; nothing is written where there is none."""

    skip_empty: bool = False
    """Pass over empty texts, lists and objects, too."""

    required: bool = False
    """Reject a record in which there is none."""

    def carries(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        return None if read_by(names, *self.fields) or looked_into(names, self.to) else names

    def compile(self, run: Run) -> Function:
        getters, put = [getter(name) for name in self.fields], setter(self.to)
        nothing: tuple[object, ...] = ("", [], {}) if self.skip_empty else ()

        def first(record: Record) -> Record:
            for get in getters:
                value = get(record)
                if value is not MISSING and value is not None and value not in nothing:
                    put(record, deepcopy(value) if value.__class__ in (list, dict) else value)
                    return record
            if self.required:
                raise RejectRecord(f"none of {', '.join(self.fields)} has a value", self.fields[0])
            return record

        return first
