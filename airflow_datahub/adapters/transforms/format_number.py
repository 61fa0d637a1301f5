"""Write a number as people read it where they live, also as an amount of money or a percentage.

Example:
    format_number: {field: price, locale: de, currency: EUR, to: shown}

Given:
    - {price: 1234.5}

Gives:
    - {price: 1234.5, shown: "1.234,50\\u00a0€"}
"""

from __future__ import annotations

from copy import copy
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, model_validator

from airflow_datahub.amounts import MINOR_UNITS, decimal, rounded
from airflow_datahub.conversion import Conversion, Convert, mistake, one_of, unfit
from airflow_datahub.locales import LocaleName

_MOST_DIGITS = 24


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
        from babel import Locale

        if number.adjusted() + (self.digits or 0) > _MOST_DIGITS or number.adjusted() < -100:
            raise unfit(self.field, number, "is too large or too small to be written out")
        locale = Locale.parse(self.locale)
        forms = locale.currency_formats if self.currency else getattr(locale, f"{self.style}_formats")
        form = copy(forms["standard" if self.currency else None])
        if self.digits is not None:
            form.frac_prec = (self.digits, self.digits)
        if self.digits is not None or not self.currency:
            number = rounded(self.field, number, form.frac_prec[1] + 2 * (self.style == "percent"), "half_even")
        as_it_has = self.digits is None and self.currency is not None
        return str(
            form.apply(number, locale, currency=self.currency, currency_digits=as_it_has, group_separator=self.grouping)
        )
