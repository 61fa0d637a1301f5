"""Turn a quantity of one unit into another, exactly where the units are defined so.

Example:
    convert_unit: {field: weight, from: lb, to_unit: kg}

Given:
    - {weight: 10}

Gives:
    - {weight: 4.5359237}
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from airflow_datahub.amounts import as_given, calculated, decimal
from airflow_datahub.contract import Function, Record, Run, Transform
from airflow_datahub.conversion import mistake, one_of, unfit
from airflow_datahub.paths import MISSING, FieldPath, absent, getter, looked_into, read_by, setter
from airflow_datahub.units import UNITS, converted, kind_of_unit


def _known(unit: str) -> str:
    return one_of("unit", unit, UNITS)


Unit = Annotated[str, AfterValidator(_known)]


class ConvertUnit(Transform):
    field: FieldPath
    """The quantity: a number, or a text that is one."""

    to: FieldPath | None = None
    """The field that gets the result; left out, it is the same one."""

    from_: Unit | None = Field(default=None, alias="from")
    """Its unit: g kg lb oz t; mm cm m km in ft yd mi; ml l cl m3 gal fl_oz; m2 ha ft2 acre; c f k; and others."""

    from_field: FieldPath | None = None
    """Instead of `from`: the field that holds the unit."""

    to_unit: Unit
    """The unit of the result."""

    required: bool = False
    """Reject a record in which the quantity is missing or null."""

    @model_validator(mode="after")
    def _fits(self) -> ConvertUnit:
        if (self.from_ is None) is (self.from_field is None):
            raise mistake("takes `from` or `from_field`, one of them")
        if self.from_ and kind_of_unit(self.from_) != kind_of_unit(self.to_unit):
            raise mistake(f"{self.from_} is a unit of {kind_of_unit(self.from_)}, {self.to_unit} of another quantity")
        return self

    def carries(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        read = [self.field, *filter(None, [self.from_field])]
        return None if read_by(names, *read) or looked_into(names, self.to or self.field) else names

    def compile(self, run: Run) -> Function:
        get, put = getter(self.field), setter(self.to or self.field)
        of = getter(self.from_field) if self.from_field else None

        def convert(record: Record) -> Record:
            value = get(record)
            if value is None or value is MISSING:
                if self.required:
                    raise absent(self.field)
                return record
            put(record, self._converted(value, of(record) if of else self.from_))
            return record

        return convert

    def _converted(self, value: Any, unit: Any) -> int | float | Decimal:
        if unit.__class__ is not str or kind_of_unit(unit) != kind_of_unit(self.to_unit):
            shown = None if unit is MISSING else unit
            raise unfit(self.from_field or "from", shown, f"is not a unit that can become {self.to_unit}")
        quantity = decimal(self.field, value)
        try:
            return as_given(calculated(self.field, lambda: converted(quantity, unit, self.to_unit)), value)
        except OverflowError as error:
            raise unfit(self.field, value, "is too large") from error
