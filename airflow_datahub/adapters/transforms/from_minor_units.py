"""Make an amount of whole cents, by the digits that the currency has (ISO 4217). The result is a decimal.

Example:
    from_minor_units: {field: price, currency_field: currency}

Given:
    - {price: 1999, currency: EUR}
    - {price: 1999, currency: JPY}

Gives:
    - {price: 19.99, currency: EUR}
    - {price: 1999, currency: JPY}
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from airflow_datahub.amounts import EXACT, decimal, minor_units
from airflow_datahub.contract import Function, Run
from airflow_datahub.conversion import unfit
from airflow_datahub.currencies import OfCurrency


class FromMinorUnits(OfCurrency):
    def compile(self, run: Run) -> Function:
        return self.converted(self._amount)

    def _amount(self, value: Any, currency: Any) -> Decimal:
        units = decimal(self.field, value)
        if units.adjusted() > 60 or units != Decimal(int(units)):
            raise unfit(self.field, value, "is no whole number of the smallest unit")
        digits = minor_units(self.currency_field or "currency", currency)
        return EXACT.scaleb(Decimal(int(units)), -digits) if digits else Decimal(int(units))
