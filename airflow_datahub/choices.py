"""Values that a spec gives: fixed, or those of a field of the record."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Annotated, Any

from pydantic import AfterValidator

from airflow_datahub.conditions.values import Constant
from airflow_datahub.contract import Record
from airflow_datahub.conversion import mistake
from airflow_datahub.paths import getter, parse


def _checked(value: Any) -> Any:
    if _is_field(value):
        try:
            parse(value["field"])
        except ValueError as error:
            raise mistake(str(error)) from error
    return value


Choice = Annotated[Constant, AfterValidator(_checked)]
"""A field of a model that holds any JSON, or `{field: path}`."""


def chosen(choice: Any) -> Callable[[Record], Any]:
    """The function that gives the value, a copy of a list or an object; MISSING where the field is missing."""
    if _is_field(choice):
        get = getter(choice["field"])
        return lambda record: _own(get(record))
    return lambda record: _own(choice)


def fields_of(*choices: Any) -> list[str]:
    """The paths that are read."""
    return [choice["field"] for choice in choices if _is_field(choice)]


def _is_field(value: Any) -> bool:
    return (
        isinstance(value, dict) and set(value) == {"field"} and isinstance(value["field"], str) and value["field"] != ""
    )


def _own(value: Any) -> Any:
    return deepcopy(value) if value.__class__ in (list, dict) else value
