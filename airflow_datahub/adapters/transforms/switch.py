"""Write the value of the first case that fits.

Example:
    switch:
      field: status
      to: state
      cases: {paid: done, shipped: done, open: waiting}
      default: unknown

Given:
    - {status: paid}
    - {status: lost}

Gives:
    - {status: paid, state: done}
    - {status: lost, state: unknown}
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from airflow_datahub.choices import Choice, chosen
from airflow_datahub.conditions.condition import Condition
from airflow_datahub.contract import Function, Record, Run, Transform
from airflow_datahub.conversion import mistake
from airflow_datahub.errors import RejectRecord
from airflow_datahub.paths import MISSING, FieldPath, getter, setter
from airflow_datahub.texts import as_text


class Case(BaseModel):
    """A condition, and what is written where it holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    when: Condition
    """What must hold."""

    then: Choice
    """The value: any JSON, or `{field: path}` for that of a field."""


class Switch(Transform):
    cases: Annotated[dict[str, Choice] | list[Case], Field(min_length=1)]
    """Values of `field`, as text, each with what is written; or a list of `{when: CONDITION, then: value}`."""

    field: FieldPath | None = None
    """The field whose value is looked up in the cases."""

    to: FieldPath
    """The field that gets the value."""

    default: Choice = None
    """What is written where no case fits; null, left out: nothing is."""

    required: bool = False
    """Reject a record that no case fits."""

    @model_validator(mode="after")
    def _one_form(self) -> Switch:
        if isinstance(self.cases, dict) is (self.field is None):
            raise mistake("takes `field` where `cases` is a mapping of its values, and none where it is a list")
        return self

    def compile(self, run: Run) -> Function:
        find, put, otherwise = self._finder(), setter(self.to), chosen(self.default)

        def switch(record: Record) -> Record:
            value = find(record)
            if value is not None:
                result = value(record)
            elif self.required:
                raise RejectRecord("no case fits", self.field)
            else:
                result = MISSING if self.default is None else otherwise(record)
            if result is not MISSING:
                put(record, result)
            return record

        return switch

    def _finder(self) -> Callable[[Record], Callable[[Record], Any] | None]:
        if isinstance(self.cases, list):
            cases = [(case.when.compile(), chosen(case.then)) for case in self.cases]
            return lambda record: next((value for holds, value in cases if holds(record)), None)
        field, get = self.field or "", getter(self.field or "")
        by_value = {name: chosen(value) for name, value in self.cases.items()}

        def find(record: Record) -> Callable[[Record], Any] | None:
            value = get(record)
            if value is MISSING or value.__class__ in (list, dict):
                return None
            return by_value.get(as_text(field, value))

        return find
