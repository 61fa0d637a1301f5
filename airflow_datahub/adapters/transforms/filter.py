"""Keep or drop records by a condition.

Example:
    filter: {keep: {field: type, ne: heartbeat}}

Given:
    - {id: a, type: click}
    - {id: b, type: heartbeat}

Gives:
    - {id: a, type: click}
"""

from __future__ import annotations

from functools import cached_property

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from airflow_datahub.conditions.comparison import Check
from airflow_datahub.conditions.condition import Condition
from airflow_datahub.contract import Code, Function, Run, Transform
from airflow_datahub.paths import read_by


class Filter(Transform):
    keep: Condition | None = None
    """Records of which this holds go on, all others are filtered out."""

    drop: Condition | None = None
    """Instead of `keep`: records of which this holds are filtered out."""

    @model_validator(mode="after")
    def _one_form(self) -> Filter:
        if (self.keep is None) is (self.drop is None):
            raise PydanticCustomError("filter", "takes `keep` or `drop`, one of them")
        return self

    @cached_property
    def holds(self) -> Check:
        """The condition, compiled once for function and statements."""
        condition = self.keep or self.drop
        if condition is None:
            raise ValueError("takes `keep` or `drop`, one of them")
        return condition.compile()

    def carries(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        condition = self.keep or self.drop
        seen = condition.fields() if condition else None
        return None if seen is None or read_by(names, *seen) else names

    def compile(self, run: Run) -> Function:
        holds, wanted = self.holds, self.keep is not None
        return lambda record: record if holds(record) is wanted else None

    def inline(self, code: Code) -> bool:
        ends = "if" if self.drop else "if not"
        with code.under(f"{ends} {code.constant(self.holds)}(record)"):
            code.leave()
        return True
