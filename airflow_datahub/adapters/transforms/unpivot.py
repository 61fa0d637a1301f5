"""Make one record of each of several fields, with the field's name and its value.

Example:
    unpivot: {fields: [jan, feb], name_to: month, value_to: amount}

Given:
    - {shop: a, jan: 5, feb: 7}

Gives:
    - {shop: a, month: jan, amount: 5}
    - {shop: a, month: feb, amount: 7}
"""

from __future__ import annotations

from copy import deepcopy
from typing import Annotated

from pydantic import Field, model_validator

from airflow_datahub.contract import Applied, Function, Record, Run, Transform
from airflow_datahub.conversion import mistake


class Unpivot(Transform):
    fields: Annotated[list[str], Field(min_length=1)] | None = None
    """Names of the fields; those that are missing or null make no record."""

    keep: Annotated[list[str], Field(min_length=1)] | None = None
    """Instead of `fields`: those that stay, and are in every record; all others make one each."""

    name_to: Annotated[str, Field(min_length=1)] = "name"
    """The field that gets the name."""

    value_to: Annotated[str, Field(min_length=1)] = "value"
    """The field that gets the value."""

    @model_validator(mode="after")
    def _one_form(self) -> Unpivot:
        if (self.fields is None) is (self.keep is None):
            raise mistake("takes `fields` or `keep`, one of them")
        return self

    def compile(self, run: Run) -> Function:
        def unpivot(record: Record) -> Applied:
            names = self.fields or [name for name in record if name not in (self.keep or ())]
            rest = {name: value for name, value in record.items() if name not in names}
            return [
                {**deepcopy(rest), self.name_to: name, self.value_to: record[name]}
                for name in names
                if record.get(name) is not None
            ]

        return unpivot
