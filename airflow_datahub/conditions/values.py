"""Values of records and specs: what kind they are, how they are shown, which of them JSON can hold."""

from __future__ import annotations

import math
import reprlib
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

Kind = Literal["null", "boolean", "integer", "number", "string", "array", "object"]
"""The types of JSON Schema. An integer is a number too."""

_KINDS: dict[type, str] = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    Decimal: "number",
    str: "string",
    list: "array",
    dict: "object",
}
_NUMBERS = frozenset({int, float, Decimal})
_SHOWN = 80


def kind_of(value: object) -> str:
    """The JSON Schema type of a value; for what JSON does not know, its class's name."""
    return _KINDS.get(type(value), type(value).__name__)


def is_number(value: object) -> bool:
    """True for int, float and Decimal; a bool is never a number."""
    return value.__class__ in _NUMBERS


def shown(value: object) -> str:
    """A value as messages show it: at most about 80 characters, however long it is."""
    if isinstance(value, str):
        return ascii(value) if len(value) <= _SHOWN else ascii(value[:_SHOWN]) + "…"
    if isinstance(value, int) and value.bit_length() > 4 * _SHOWN:
        return f"an integer of {value.bit_length()} bits"
    text = _short(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _short(value: object) -> str:
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = _SHOWN
    try:
        return short.repr(value)
    except ValueError:
        return f"a value of type {type(value).__name__}"


def canonical(moment: datetime) -> str:
    """An aware datetime as text in UTC: `2024-01-15T09:50:00Z`, with milli- or microseconds only when not zero.

    Raises OverflowError for a moment that UTC's calendar does not hold."""
    utc = moment.astimezone(UTC)
    only_millis = utc.microsecond and not utc.microsecond % 1000
    return utc.isoformat()[: -len("000+00:00") if only_millis else -len("+00:00")] + "Z"


def json_value(value: Any, sort: bool = False) -> Any:
    """The value with every date and time in it as ISO text, and with `sort` the names of objects in order.

    Raises ValueError for what JSON cannot hold, OverflowError for a time outside the years 1 to 9999."""
    kind = value.__class__
    if kind is dict:
        names = [_name(name) for name in value]
        return {name: json_value(value[name], sort) for name in (sorted(names) if sort else names)}
    if kind is list or kind is tuple:
        return [json_value(each, sort) for each in value]
    if kind is float and not math.isfinite(value):
        raise ValueError(f"{value} is not a number that JSON can hold")
    if kind in _KINDS:
        return value
    return _text_of(value)


def _text_of(value: Any) -> str:
    if isinstance(value, datetime):
        return canonical(value if value.tzinfo else value.replace(tzinfo=UTC))
    if isinstance(value, date):
        return value.isoformat()
    raise ValueError(f"a value of type {type(value).__name__} cannot be in a record")


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise ValueError(f"{shown(name)} cannot name a field: names are text")
    return name


def _constant(value: Any) -> Any:
    try:
        return json_value(value)
    except (ValueError, OverflowError) as error:
        raise PydanticCustomError("json_value", "{reason}", {"reason": str(error)}) from error


Constant = Annotated[Any, AfterValidator(_constant)]
"""A field of a model that holds any JSON value. YAML's dates become ISO text, as they are in records."""
