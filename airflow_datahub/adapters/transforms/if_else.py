"""Write one of two values, by a condition.

Example:
    if_else: {when: {field: total, gte: 100}, to: tier, then: gold, else: {field: basic_tier}}

Given:
    - {total: 120, basic_tier: basic}
    - {total: 20, basic_tier: basic}

Gives:
    - {total: 120, basic_tier: basic, tier: gold}
    - {total: 20, basic_tier: basic, tier: basic}
"""

from __future__ import annotations

from pydantic import Field

from airflow_datahub.choices import Choice, chosen
from airflow_datahub.conditions.condition import Condition
from airflow_datahub.contract import Function, Record, Run, Transform
from airflow_datahub.paths import MISSING, FieldPath, setter


class IfElse(Transform):
    when: Condition
    """What decides."""

    to: FieldPath
    """The field that gets the value."""

    then: Choice
    """The value where it holds: any JSON, or `{field: path}` for that of a field."""

    otherwise: Choice = Field(default=None, alias="else")
    """The value where it does not."""

    def compile(self, run: Run) -> Function:
        holds, put = self.when.compile(), setter(self.to)
        yes, no = chosen(self.then), chosen(self.otherwise)

        def choose(record: Record) -> Record:
            value = (yes if holds(record) else no)(record)
            if value is not MISSING:
                put(record, value)
            return record

        return choose
