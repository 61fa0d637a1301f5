"""Make whole cents of an amount, as payment systems count it: by the digits that the currency has (ISO 4217).

An amount with a part of a cent is rejected: `round` it before.

Example:
    to_minor_units: {field: price, currency: EUR}

Given:
    - {price: "19.99"}

Gives:
    - {price: 1999}
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from airflow_datahub.amounts import EXACT, decimal, minor_units
from airflow_datahub.contract import Function, Run
from airflow_datahub.conversion import unfit
from airflow_datahub.currencies import OfCurrency


class ToMinorUnits(OfCurrency):
    def compile(self, run: Run) -> Function:
        return self.converted(self._whole)

    def _whole(self, value: Any, currency: Any) -> int:
        exact = decimal(self.field, value)
        if exact.adjusted() > 60:
            raise unfit(self.field, value, "is no amount of money")
        units = EXACT.scaleb(exact, minor_units(self.currency_field or "currency", currency))
        if units != Decimal(int(units)):
            raise unfit(self.field, value, f"has a part of the smallest unit of {currency}; `round` it before")
        return int(units)
