"""Set a field to what a CEL expression gives (https://cel.dev).

The expression sees the record as `record`, the run's parameters as `params` and the run's time as `now`. Times that
it gives become ISO text in UTC. What it cannot work out (a missing field, a division by zero, text plus number) rejects
the record; guard with `has(record.field)`. CEL keeps no order in objects: those that it gives have their names sorted.

Example:
    expression: {field: total, value: "record.price * double(record.quantity)"}

Given:
    - {id: a, price: 2.5, quantity: 4}

Gives:
    - {id: a, price: 2.5, quantity: 4, total: 10.0}
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from airflow_datahub.conditions.expression import compile_expression
from airflow_datahub.conditions.values import json_value
from airflow_datahub.contract import Function, Record, Run, Transform
from airflow_datahub.errors import RejectRecord
from airflow_datahub.paths import FieldPath, setter

_NAMES = frozenset({"now", "params"})


def _checked(text: str) -> str:
    try:
        compile_expression(text, _NAMES)
    except ValueError as error:
        raise PydanticCustomError("cel", "{reason}", {"reason": str(error)}) from error
    return text


class Expression(Transform):
    field: FieldPath
    """The field that gets the result; objects on the way to it are made."""

    value: Annotated[str, AfterValidator(_checked)]
    """The CEL text."""

    def compile(self, run: Run) -> Function:
        field, put = self.field, setter(self.field)
        evaluate = compile_expression(self.value, _NAMES)
        others = {"now": run.started, "params": dict(run.params)}

        def express(record: Record) -> Record:
            try:
                put(record, json_value(evaluate(record, others), sort=True))
            except RejectRecord as rejected:
                raise RejectRecord(f"{field}: {rejected.reason}", rejected.field or field) from rejected
            except (ValueError, OverflowError) as error:
                raise RejectRecord(f"{field}: {error}", field) from error
            return record

        return express
