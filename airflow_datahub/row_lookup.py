"""The base of operators that find the row of a table that belongs to a record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, field_validator, model_validator

from airflow_datahub.conditions.values import Constant, json_value
from airflow_datahub.contract import Record, Transform
from airflow_datahub.conversion import mistake
from airflow_datahub.errors import RejectRecord
from airflow_datahub.paths import MISSING, FieldPath, absent, getter, looked_into, read_by, setter

Row = Mapping[str, Any]


class RowLookup(Transform):
    """Finds a row and writes columns of it into the record."""

    match: Annotated[dict[FieldPath, str], Field(min_length=1)]
    """By which a row is found: each field of the record with the column that must hold the same."""

    select: Annotated[dict[str, FieldPath] | list[FieldPath], Field(min_length=1)]
    """What is written: columns, each with the field that gets it, or a list where they have the same names."""

    missing: Literal["keep", "null", "default", "reject", "drop"] = "keep"
    """What becomes of a record for which there is no row."""

    default: dict[FieldPath, Constant] = Field(default_factory=dict)
    """With `missing: default`: what is written, by field."""

    required: bool = False
    """Reject a record in which one of the fields of `match` is missing or null; else it passes untouched."""

    @field_validator("select")
    @classmethod
    def _by_column(cls, select: Any) -> Any:
        return {name: name for name in select} if isinstance(select, list) else select

    @model_validator(mode="after")
    def _default_fits(self) -> RowLookup:
        if bool(self.default) is not (self.missing == "default"):
            raise mistake("`missing: default` and `default` go together")
        return self

    @property
    def columns(self) -> list[str]:
        """The columns that are read."""
        return list(self.select)

    def carries(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        written = (*(path for _, path in self.columns_to()), *self.default)
        return None if read_by(names, *self.match) or looked_into(names, *written) else names

    def key_reader(self) -> Callable[[Record], tuple[Any, ...] | None]:
        """The function that gives the values by which a record's row is found; None where one is not there."""
        getters = [(name, getter(name)) for name in self.match]

        def read(record: Record) -> tuple[Any, ...] | None:
            values = []
            for name, get in getters:
                value = get(record)
                if value is None or value is MISSING:
                    if self.required:
                        raise absent(name)
                    return None
                if value.__class__ in (list, dict):
                    raise RejectRecord(f"{name}: a list or object finds no row", name)
                values.append(value)
            return tuple(values)

        return read

    def writer(self) -> Callable[[Record, Row | None], Record | None]:
        """The function that writes what was found into a record; None, where it is dropped."""
        puts = [(column, setter(path)) for column, path in self.columns_to()]
        defaults = [(setter(path), value) for path, value in self.default.items()]
        names = ", ".join(self.match)

        def write(record: Record, row: Row | None) -> Record | None:
            if row is None and self.missing == "reject":
                raise RejectRecord(f"{names}: no row has these values", next(iter(self.match)))
            if row is None and self.missing in ("keep", "drop"):
                return record if self.missing == "keep" else None
            if row is None and self.missing == "default":
                for put, value in defaults:
                    put(record, deepcopy(value))
                return record
            for column, put in puts:
                put(record, None if row is None else deepcopy(row[column]))
            return record

        return write

    def columns_to(self) -> Sequence[tuple[str, str]]:
        """Each column with the field that gets it."""
        assert isinstance(self.select, dict)
        return list(self.select.items())


def as_json(value: Any) -> Any:
    """A value of a database as a record holds it."""
    if isinstance(value, UUID | time | timedelta):
        return str(value)
    if isinstance(value, datetime | date):
        return json_value(value)
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    if isinstance(value, list):
        return [as_json(each) for each in value]
    return value
