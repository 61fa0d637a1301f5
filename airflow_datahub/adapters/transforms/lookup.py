"""Write what a table in the spec says of a value.

Keys are compared as text: the number 1 finds the key 1.

Example:
    lookup: {field: country, table: {DE: Germany, FR: France}, to: country_name}

Given:
    - {country: DE}

Gives:
    - {country: DE, country_name: Germany}
"""

from __future__ import annotations

from copy import deepcopy
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from airflow_datahub.conditions.values import Constant
from airflow_datahub.contract import Function, Record, Run, Transform
from airflow_datahub.conversion import mistake, unfit
from airflow_datahub.paths import MISSING, FieldPath, absent, getter, looked_into, read_by, setter
from airflow_datahub.texts import as_text


def _text_keys(value: Any) -> Any:
    return {as_text("table", key): each for key, each in value.items()} if isinstance(value, dict) else value


class Lookup(Transform):
    field: FieldPath
    """The field whose value is looked up."""

    table: Annotated[dict[str, Constant], BeforeValidator(_text_keys), Field(min_length=1)]
    """Values of the field, each with what is written: any JSON."""

    to: FieldPath | None = None
    """The field that gets it; left out, the same one."""

    missing: Literal["keep", "null", "default", "reject"] = "keep"
    """What becomes of a record whose value is not in the table: nothing is written, null is, the default is, or it is
    rejected."""

    default: Constant = None
    """With `missing: default`: what is written."""

    required: bool = False
    """Reject a record in which the field is missing or null."""

    @model_validator(mode="after")
    def _default_fits(self) -> Lookup:
        if (self.default is None) is (self.missing == "default"):
            raise mistake("`missing: default` and `default` go together")
        return self

    def carries(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        return None if read_by(names, self.field) or looked_into(names, self.to or self.field) else names

    def compile(self, run: Run) -> Function:
        get, put, table = getter(self.field), setter(self.to or self.field), self.table

        def look(record: Record) -> Record:
            value = get(record)
            if value is None or value is MISSING:
                if self.required:
                    raise absent(self.field)
                return record
            key = as_text(self.field, value)
            if key in table:
                put(record, deepcopy(table[key]))
            elif self.missing == "reject":
                raise unfit(self.field, value, "is not in the table")
            elif self.missing != "keep":
                put(record, deepcopy(self.default) if self.missing == "default" else None)
            return record

        return look
