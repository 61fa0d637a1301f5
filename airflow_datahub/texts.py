"""Values of records as text."""

from __future__ import annotations

from decimal import Decimal
from math import isfinite
from typing import Any

import msgspec

from airflow_datahub.conditions.values import kind_of, shown
from airflow_datahub.errors import RejectRecord

_encode = msgspec.json.Encoder(decimal_format="number").encode
_canonical = msgspec.json.Encoder(decimal_format="number", order="deterministic").encode


def as_text(field: str, value: Any) -> str:
    """A text as it is; a number, true, false and null as JSON writes them. Lists and objects are rejected."""
    kind = value.__class__
    if kind is str:
        return value  # type: ignore[no-any-return]
    if kind is dict or kind is list:
        raise RejectRecord(f"{field}: {shown(value)} ({kind_of(value)}) is no single value; `stringify_json`", field)
    return number_text(field, value)


def number_text(field: str, value: Any) -> str:
    """A number without an exponent, where it has at most 40 digits; true, false and null as JSON writes them."""
    kind = value.__class__
    if kind is bool or value is None:
        return "null" if value is None else "true" if value else "false"
    if kind not in (int, float, Decimal) or (kind is not int and not isfinite(value)):
        raise RejectRecord(f"{field}: {shown(value)} ({kind_of(value)}) is no value that JSON has", field)
    try:
        text = repr(value) if kind is float else str(value)
    except ValueError as error:  # Python writes no whole number of more than 4,300 digits
        raise RejectRecord(f"{field}: {shown(value)} has too many digits", field) from error
    return format(Decimal(text), "f") if "e" in text.lower() and -40 < Decimal(text).adjusted() < 40 else text


def json_text(field: str | None, value: Any, *, canonical: bool = False) -> bytes:
    """A value as JSON in UTF-8; `canonical`: the names of objects in order. What JSON cannot say is rejected."""
    try:
        return (_canonical if canonical else _encode)(value)
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        where = f"{field}: " if field else ""
        raise RejectRecord(f"{where}{shown(value)} cannot be written as JSON: {error}", field) from error
