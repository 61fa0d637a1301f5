"""Give each record to a function of yours.

It gets the record, which it may change, and what `with` says by name. It returns the record, a list of records, or
nothing, which ends the record here. What it raises rejects the record. For the same record it must give the same.

Example:
    python: {function: "builtins:dict", with: {source: shop}}

Given:
    - {id: 1}

Gives:
    - {id: 1, source: shop}
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from airflow_datahub.conditions.values import Constant, json_value
from airflow_datahub.contract import Applied, Function, Record, Run, Transform
from airflow_datahub.conversion import mistake
from airflow_datahub.errors import RejectRecord


def _found(path: str) -> Callable[..., Any]:
    module, _, name = path.partition(":")
    try:
        function = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise mistake(f"{path!r} cannot be imported: {error}") from error
    if not callable(function):
        raise mistake(f"{path!r} is no function")
    return function  # type: ignore[no-any-return]


def _importable(path: str) -> str:
    _found(path)
    return path


class Python(Transform):
    function: Annotated[str, Field(pattern=r"^[\w.]+:\w+$"), AfterValidator(_importable)]
    """Where it is: `package.module:function`, importable where the pipeline is checked and where it runs."""

    with_: dict[str, Constant] = Field(default={}, alias="with")
    """What it gets besides the record, by name."""

    def compile(self, run: Run) -> Function:
        function, given = _found(self.function), self.with_

        def apply(record: Record) -> Applied:
            result = function(record, **given)
            return [self._checked(each) for each in result] if isinstance(result, list) else self._checked(result)

        def guarded(record: Record) -> Applied:
            try:
                return apply(record)
            except RejectRecord:
                raise
            except Exception as error:  # whatever somebody's function raises is about this record
                raise RejectRecord(f"{self.function}: {type(error).__name__}: {str(error)[:300]}") from error

        return guarded

    def _checked(self, result: Any) -> Any:
        if result is None or isinstance(result, dict):
            return result if result is None else json_value(result)
        raise RejectRecord(
            f"{self.function} gave {type(result).__name__}: a record, a list of records or None is wanted"
        )
