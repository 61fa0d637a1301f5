"""The base of operators on an amount of which the currency must be known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import model_validator

from airflow_datahub.amounts import MINOR_UNITS
from airflow_datahub.contract import Function, Record, Transform
from airflow_datahub.conversion import mistake, one_of
from airflow_datahub.paths import MISSING, FieldPath, absent, getter, setter


class OfCurrency(Transform):
    """Takes the amount at `field` and puts what it makes of it at `to`."""

    field: FieldPath
    """The amount: a number, or a text that is one."""

    to: FieldPath | None = None
    """The field that gets the result; left out, it is the same one."""

    currency: str | None = None
    """Its currency, by ISO 4217."""

    currency_field: FieldPath | None = None
    """Instead of `currency`: the field that holds it."""

    required: bool = False
    """Reject a record in which the amount is missing or null; else it passes untouched."""

    @model_validator(mode="after")
    def _one_currency(self) -> OfCurrency:
        if (self.currency is None) is (self.currency_field is None):
            raise mistake("takes `currency` or `currency_field`, one of them")
        if self.currency is not None:
            one_of("currency", self.currency, MINOR_UNITS)
        return self

    def converted(self, convert: Callable[[Any, Any], Any]) -> Function:
        """The function of one record, of one of amount and currency."""
        get, put = getter(self.field), setter(self.to or self.field)
        of = getter(self.currency_field) if self.currency_field else None

        def change(record: Record) -> Record:
            value = get(record)
            if value is not None and value is not MISSING:
                currency = self.currency if of is None else of(record)
                put(record, convert(value, None if currency is MISSING else currency))
            elif self.required:
                raise absent(self.field)
            return record

        return change
