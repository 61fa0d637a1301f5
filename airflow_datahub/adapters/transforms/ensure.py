"""Reject records of which a condition does not hold.

Example:
    ensure: {that: {field: price, gt: 0}, message: the price must be above 0}

Given:
    - {price: 1}

Gives:
    - {price: 1}
"""

from __future__ import annotations

from airflow_datahub.conditions.condition import Condition
from airflow_datahub.contract import Code, Function, Record, Run, Transform
from airflow_datahub.errors import RejectRecord
from airflow_datahub.paths import read_by


class Ensure(Transform):
    that: Condition
    """What must hold."""

    message: str = ""
    """The reason of the reject; left out, the condition is named."""

    def carries(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        seen = self.that.fields()
        return None if seen is None or read_by(names, *seen) else names

    def compile(self, run: Run) -> Function:
        holds, fields = self.that.compile(), self.that.fields() or frozenset()
        reason = (
            self.message or f"does not hold: {self.that.model_dump(mode='json', by_alias=True, exclude_unset=True)}"
        )
        field = next(iter(fields)) if len(fields) == 1 else None

        def ensure(record: Record) -> Record:
            if not holds(record):
                raise RejectRecord(reason, field)
            return record

        return ensure

    def inline(self, code: Code) -> bool:
        with code.under(f"if not {code.constant(self.that.compile())}(record)"):
            code.hand_over()
        return True
