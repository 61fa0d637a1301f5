"""Calculate with fields and numbers, exactly.

The result is whole where all numbers are and it is, a float where one of them is a float, else a decimal. A division by
zero, and a result that is no number, reject the record. A field that is missing or null leaves the record alone.

Example:
    math: {to: total, multiply: [price, quantity]}

Given:
    - {price: 19.99, quantity: 3}

Gives:
    - {price: 19.99, quantity: 3, total: 59.97}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import reduce
from typing import Annotated, Any

from pydantic import Field, model_validator

from airflow_datahub.amounts import EXACT, as_given, calculated, decimal
from airflow_datahub.contract import Function, Record, Run, Transform
from airflow_datahub.conversion import mistake
from airflow_datahub.errors import RejectRecord
from airflow_datahub.paths import MISSING, FieldPath, absent, getter, looked_into, read_by, setter

Operand = Annotated[FieldPath | int | float | Decimal, Field(union_mode="left_to_right")]
"""A field's path, or a number."""
Several = Annotated[list[Operand], Field(min_length=2)]
MOST_POWER = 1_000


class Math(Transform):
    to: FieldPath
    """The field that gets the result."""

    add: Several | None = None
    """The sum of these."""

    subtract: Several | None = None
    """The first less the others."""

    multiply: Several | None = None
    """The product of these."""

    divide: Several | None = None
    """The first divided by the others, one after the other."""

    modulo: Annotated[list[Operand], Field(min_length=2, max_length=2)] | None = None
    """What is left when the first is divided by the second; it has the second's sign."""

    power: Annotated[list[Operand], Field(min_length=2, max_length=2)] | None = None
    """The first to the power of the second, at most 1,000."""

    min: Several | None = None
    """The smallest of these."""

    max: Several | None = None
    """The largest of these."""

    abs: Operand | None = None
    """Without its sign."""

    negate: Operand | None = None
    """With the other sign."""

    required: bool = False
    """Reject a record in which one of the fields is missing or null."""

    @model_validator(mode="after")
    def _one_calculation(self) -> Math:
        if len(self._given()) != 1:
            raise mistake(f"takes one of {', '.join(_CALCULATIONS)} with fields and numbers, and `to`")
        return self

    def carries(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        _, operands = self._calculation()
        paths = [each for each in operands if isinstance(each, str)]
        return None if read_by(names, *paths) or looked_into(names, self.to) else names

    def compile(self, run: Run) -> Function:
        name, operands = self._calculation()
        calculate, put = _CALCULATIONS[name], setter(self.to)
        getters = [(each, getter(each)) if isinstance(each, str) else (str(each), _constant(each)) for each in operands]

        def calculated_record(record: Record) -> Record:
            given = [get(record) for _, get in getters]
            for (field, _), value in zip(getters, given, strict=True):
                if value is None or value is MISSING:
                    if self.required:
                        raise absent(field)
                    return record
            numbers = [decimal(field, value) for (field, _), value in zip(getters, given, strict=True)]
            result = calculated(self.to, lambda: calculate(numbers))
            put(record, _kept(self.to, result, given))
            return record

        return calculated_record

    def _given(self) -> Mapping[str, Any]:
        return {name: value for name in _CALCULATIONS if (value := getattr(self, name)) is not None}

    def _calculation(self) -> tuple[str, Sequence[Any]]:
        ((name, operands),) = self._given().items()
        return name, operands if isinstance(operands, list) else [operands]


def _constant(value: Any) -> Callable[[Record], Any]:
    return lambda record: value


def _kept(field: str, result: Decimal, given: Sequence[Any]) -> int | float | Decimal:
    try:
        return as_given(result, *given)
    except (OverflowError, ValueError) as error:
        raise RejectRecord(f"{field}: the result is too large", field) from error


def _power(numbers: Sequence[Decimal]) -> Decimal:
    base, exponent = numbers
    if abs(exponent) > MOST_POWER:
        raise OverflowError
    return EXACT.power(base, exponent)


_CALCULATIONS: Mapping[str, Callable[[Sequence[Decimal]], Decimal]] = {
    "add": lambda numbers: reduce(EXACT.add, numbers),
    "subtract": lambda numbers: reduce(EXACT.subtract, numbers),
    "multiply": lambda numbers: reduce(EXACT.multiply, numbers),
    "divide": lambda numbers: reduce(EXACT.divide, numbers),
    "modulo": lambda numbers: EXACT.subtract(
        numbers[0], EXACT.multiply(numbers[1], EXACT.divide(numbers[0], numbers[1]).to_integral_value("ROUND_FLOOR"))
    ),
    "power": _power,
    "min": min,
    "max": max,
    "abs": lambda numbers: numbers[0].copy_abs(),
    "negate": lambda numbers: numbers[0].copy_negate(),
}
