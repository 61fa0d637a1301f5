"""Turn text into a number, exactly.

Text without a point or exponent becomes a whole number, other text a float. Text that is no number (`1,5`,
`0x1`, `nan`, empty, with spaces), that is too large (`1e999`) or has more digits than a float keeps is rejected.
Numbers stay as they are; true and false are no numbers.

Example:
    to_number: {field: amount}

Given:
    - {id: a, amount: "12"}
    - {id: b, amount: "1.50"}
    - {id: c, amount: null}

Gives:
    - {id: a, amount: 12}
    - {id: b, amount: 1.5}
    - {id: c, amount: null}
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from math import isfinite
from typing import Annotated, Any

from pydantic import Field

from airflow_datahub.conditions.numbers import decimal_of, number_of
from airflow_datahub.conditions.values import kind_of, shown
from airflow_datahub.contract import Code, Function, Run, Transform
from airflow_datahub.errors import RejectRecord
from airflow_datahub.paths import FieldPath, converter, inline_converter, looked_into, read_by

_MOST_DIGITS = 4300
"""Python reads no whole number with more."""


class ToNumber(Transform):
    field: FieldPath
    """The field that is turned into a number."""

    to: FieldPath | None = None
    """The field that gets the number; left out, it is the same one."""

    decimal: bool = False
    """Give a decimal number, which keeps every digit ("1.50" stays 1.50), instead of a float or whole number."""

    required: bool = False
    """Reject a record in which the field is missing or null."""

    max_digits: Annotated[int, Field(ge=1, le=_MOST_DIGITS)] = _MOST_DIGITS
    """Digits that a text may have, those of an exponent among them; Python reads no whole number with more."""

    def carries(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        return None if read_by(names, self.field) or looked_into(names, self.to or self.field) else names

    def compile(self, run: Run) -> Function:
        return converter(self.field, self.to, self._conversion(), self.required)

    def inline(self, code: Code) -> bool:
        return inline_converter(code, self.field, self.to, self._conversion(), self.required)

    def _conversion(self) -> Callable[[Any], Any]:
        return (_to_decimal if self.decimal else _to_number)(self.field, self.max_digits)


def _to_number(field: str, most: int) -> Callable[[Any], int | float | Decimal]:
    def convert(value: Any) -> int | float | Decimal:
        kind = value.__class__
        if kind is int or (kind is float and isfinite(value)):
            return value  # type: ignore[no-any-return]
        if kind is str and value.isdecimal() and value.isascii() and len(value) <= most:
            return int(value)
        number: int | float | Decimal = _number(value, field, most)
        if number.__class__ is Decimal and value.__class__ is str:
            raise RejectRecord(f"{field}: {shown(value)} has more digits than a float keeps; use decimal: true", field)
        return number

    return convert


def _to_decimal(field: str, most: int) -> Callable[[Any], Decimal]:
    def convert(value: Any) -> Decimal:
        number = _number(value, field, most)
        return Decimal(value) if value.__class__ is str else decimal_of(number)

    return convert


def _number(value: Any, field: str, most: int) -> Any:
    kind = value.__class__
    if kind is str and len(value) > most and sum(map(str.isdecimal, value)) > most:
        raise RejectRecord(f"{field}: {shown(value)} has more than {most:,} digits", field)
    number = number_of(value) if kind is str else value if kind in (int, float, Decimal) else None
    if number is None:
        raise RejectRecord(f"{field}: {shown(value)} ({kind_of(value)}) is not a number", field)
    if kind in (float, Decimal) and not isfinite(number):
        raise RejectRecord(f"{field}: {value} is not a finite number", field)
    return number
