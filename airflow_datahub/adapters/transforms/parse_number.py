"""Read a number as people write it where they live: `1.234,56` in Germany, `1 234,56` in France.

Signs and codes of currencies are left out, a percentage is divided by 100, and an amount in brackets is negative. A
number whose groups do not fit the locale (`1,23` in English) is rejected. The result is a decimal.

Example:
    parse_number: {field: price, locale: de}

Given:
    - {price: "1.234,56 €"}
    - {price: "12 %"}
    - {price: "(5,00)"}

Gives:
    - {price: 1234.56}
    - {price: 0.12}
    - {price: -5.00}
"""

from __future__ import annotations

import re
from decimal import Decimal

from airflow_datahub.conversion import Conversion, Convert, unfit
from airflow_datahub.locales import LocaleName

_SPACES = "\u00a0\u202f\u2009 "
_CURRENCY = re.compile(r"[A-Z]{3}|[^\W\d_]{0,3}[\u20a0-\u20cf$¢£¥₽元円][^\W\d_]{0,3}|[^\W\d_]{1,3}\.?")
_BODY = re.compile(r"[-+]?[0-9][0-9.,'’ \u00a0\u202f\u066b\u066c]*")
_LONGEST = 200


class ParseNumber(Conversion):
    locale: LocaleName
    """A language, and where it is spoken: de, en_IN, fr_CH."""

    def conversion(self) -> Convert:
        return self._number

    def _number(self, value: object) -> Decimal:
        if value.__class__ is int or (value.__class__ is Decimal and value.is_finite()):
            return Decimal(value)
        number = _read(value, self.locale) if isinstance(value, str) and len(value) <= _LONGEST else None
        if number is None:
            raise unfit(self.field, value, f"is not a number as it is written in {self.locale}")
        return number


def _read(text: str, locale: str) -> Decimal | None:
    text = text.strip().replace("\u2212", "-")
    negative = text.startswith("(") and text.endswith(")")
    text = text[1:-1].strip() if negative else text
    percent = text.endswith("%")
    body = _without_currency(text.removesuffix("%").strip(_SPACES))
    if not _BODY.fullmatch(body):
        return None
    number = _parsed(body, locale)
    if number is None:
        return None
    return (-number if negative else number) / (100 if percent else 1)


def _without_currency(text: str) -> str:
    """The number, with its sign, of `-€ 5`, `EUR 5` or `5 €`."""
    sign = text[:1] if text[:1] in "+-" else ""
    rest = text[len(sign) :].strip(_SPACES)
    if before := _CURRENCY.match(rest):
        rest = rest[before.end() :].strip(_SPACES)
    elif behind := re.search(rf"(?:{_CURRENCY.pattern})\Z", rest):
        rest = rest[: behind.start()].strip(_SPACES)
    return sign + rest


def _parsed(text: str, locale: str) -> Decimal | None:
    from babel.numbers import NumberFormatError, parse_decimal

    try:
        number: Decimal = parse_decimal(text, locale=locale, strict=True)
    except (NumberFormatError, ValueError, ArithmeticError):
        return None
    return number if number.is_finite() else None
