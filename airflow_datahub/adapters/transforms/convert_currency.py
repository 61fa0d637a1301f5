"""Turn an amount of one currency into another by a table of rates, rounded to the digits that the currency has.

The rates say what one unit of a base currency is worth in each other. The result is a decimal.

Example:
    convert_currency:
      field: price
      currency_field: currency
      to_currency: EUR
      rates: {EUR: 1, USD: "1.0865"}
      to: price_eur

Given:
    - {price: 10.00, currency: USD}

Gives:
    - {price: 10.00, currency: USD, price_eur: 9.20}
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field, model_validator

from airflow_datahub.amounts import EXACT, MINOR_UNITS, Rounding, calculated, decimal, minor_units, rounded
from airflow_datahub.contract import Function, Run
from airflow_datahub.conversion import mistake, one_of, unfit
from airflow_datahub.currencies import OfCurrency


class ConvertCurrency(OfCurrency):
    to_currency: str
    """The currency of the result."""

    rates: Annotated[dict[str, Annotated[Decimal, Field(gt=0)]], Field(min_length=2)]
    """By currency: what one unit of the base currency is worth in it; the base's own rate is 1."""

    mode: Rounding = "half_even"
    """How the result is rounded."""

    @model_validator(mode="after")
    def _rates_fit(self) -> ConvertCurrency:
        for each in (self.to_currency, *self.rates):
            one_of("currency", each, MINOR_UNITS)
        for each in filter(None, (self.to_currency, self.currency)):
            if each not in self.rates:
                raise mistake(f"`rates` has none for {each}")
        return self

    def compile(self, run: Run) -> Function:
        return self.converted(self._amount)

    def _amount(self, value: Any, currency: Any) -> Decimal:
        rate = self.rates.get(currency) if isinstance(currency, str) else None
        if rate is None:
            raise unfit(self.currency_field or "currency", currency, "has no rate in `rates`")
        amount = decimal(self.field, value)
        new = calculated(self.field, lambda: EXACT.divide(EXACT.multiply(amount, self.rates[self.to_currency]), rate))
        return rounded(self.field, new, minor_units(self.field, self.to_currency), self.mode)
