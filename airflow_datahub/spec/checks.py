"""What a validate step demands of a record, as one operator: all that is wrong with a record goes into one reject."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from airflow_datahub.conditions.condition import Condition
from airflow_datahub.contract import Function, Record, Run, Transform
from airflow_datahub.errors import RejectRecord
from airflow_datahub.json_schemas import Violation, checker
from airflow_datahub.paths import read_by
from airflow_datahub.spec.words import Name


class Rule(BaseModel):
    """One thing that must hold of a record."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, defer_build=True)

    name: Name
    """What the rule is called in rejects."""

    ensure: Condition
    """What must hold."""


Check = Callable[[Record], Sequence[Violation]]


class Checks(Transform):
    """Rules and a JSON Schema."""

    rules: tuple[Rule, ...] = ()
    """What must hold of each record."""

    json_schema: dict[str, Any] | None = None
    """A JSON Schema."""

    def carries(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        fields = [rule.ensure.fields() for rule in self.rules]
        seen = None if self.json_schema is not None else [each for each in fields if each is not None]
        if seen is None or len(seen) < len(fields):
            return None
        return None if read_by(names, *frozenset[str]().union(*seen)) else names

    def compile(self, run: Run) -> Function:
        checks: list[Check] = [_rule(each) for each in self.rules]
        if self.json_schema is not None:
            checks.append(checker(self.json_schema))

        def validate(record: Record) -> Record:
            wrong = [violation for check in checks for violation in check(record)]
            if wrong:
                raise RejectRecord("; ".join(each.reason for each in wrong), wrong[0].field)
            return record

        return validate


def _rule(rule: Rule) -> Check:
    holds, fields = rule.ensure.compile(), rule.ensure.fields() or frozenset()
    broken = (Violation(f"{rule.name}: does not hold", next(iter(fields)) if len(fields) == 1 else None),)

    def check(record: Record) -> Sequence[Violation]:
        try:
            return () if holds(record) else broken
        except RejectRecord as error:
            return (Violation(f"{rule.name}: {error.reason}", error.field),)

    return check
