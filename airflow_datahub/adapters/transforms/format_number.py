"""Write a number as people read it where they live, also as an amount of money or a percentage.

Example:
    format_number: {field: price, locale: de, currency: EUR, to: shown}

Given:
    - {price: 1234.5}

Gives:
    - {price: 1234.5, shown: "1.234,50\\u00a0€"}
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from airflow_datahub.amounts import MINOR_UNITS, decimal, rounded
from airflow_datahub.conversion import Conversion, Convert, mistake, one_of, unfit
from airflow_datahub.locales import LocaleName


class FormatNumber(Conversion):
    locale: LocaleName
    """A language, and where it is spoken: de, en_IN, fr_CH."""

    style: Literal["decimal", "percent"] = "decimal"
    """percent: 0.12 is written as 12%."""

    currency: str | None = None
    """Write an amount of this currency of ISO 4217, with as many digits as it has."""

    digits: Annotated[int, Field(ge=0, le=20)] | None = None
    """Digits behind the point; left out, as many as there are, at most 3 (a currency: its own)."""

    grouping: bool = True
    """Put marks between thousands."""

    @model_validator(mode="after")
    def _known_currency(self) -> FormatNumber:
        if self.currency is not None:
            one_of("currency", self.currency, MINOR_UNITS)
            if self.style == "percent":
                raise mistake("takes `currency` or the style percent, not both")
        return self

    def conversion(self) -> Convert:
        return lambda value: self._text(decimal(self.field, value))

    def _text(self, number: Decimal) -> str:
        from babel.numbers import format_currency, format_decimal, format_percent

        if abs(number.adjusted()) > 100:
            raise unfit(self.field, number, "is too large or too small to be written out")
        if self.digits is not None:
            number = rounded(self.field, number, self.digits + 2 * (self.style == "percent"), "half_even")
        how: dict[str, Any] = {"locale": self.locale, "group_separator": self.grouping}
        how |= {} if self.digits is None else {"decimal_quantization": False}
        if self.currency:
            return str(format_currency(number, self.currency, currency_digits=self.digits is None, **how))
        write = format_percent if self.style == "percent" else format_decimal
        return str(write(number, **how))
