"""Put fields of the record into an object of its own.

Example:
    nest: {prefix: address_, to: address}

Given:
    - {name: Ann, address_city: Rome, address_zip: "00100"}

Gives:
    - {name: Ann, address: {city: Rome, zip: "00100"}}
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from airflow_datahub.contract import Function, Record, Run, Transform
from airflow_datahub.conversion import mistake, unfit
from airflow_datahub.paths import MISSING, FieldPath, getter, setter


class Nest(Transform):
    fields: Annotated[list[str], Field(min_length=1)] | None = None
    """Names of the fields; those that are missing are left out."""

    prefix: Annotated[str, Field(min_length=1)] | None = None
    """Instead of `fields`: what their names begin with, and what is taken off there."""

    to: FieldPath
    """The field that gets the object; one that is there keeps its other fields."""

    @model_validator(mode="after")
    def _one_form(self) -> Nest:
        if (self.fields is None) is (self.prefix is None):
            raise mistake("takes `fields` or `prefix`, one of them")
        return self

    def compile(self, run: Run) -> Function:
        get, put, prefix = getter(self.to), setter(self.to), self.prefix or ""

        def nest(record: Record) -> Record:
            names = self.fields or [each for each in record if each.startswith(prefix) and len(each) > len(prefix)]
            moved = {name[len(prefix) :]: record.pop(name) for name in names if name in record}
            there = get(record)
            if there is not MISSING and there is not None and there.__class__ is not dict:
                raise unfit(self.to, there, "is there already, and holds no fields")
            if moved:
                put(record, {**(there if there.__class__ is dict else {}), **moved})
            return record

        return nest
