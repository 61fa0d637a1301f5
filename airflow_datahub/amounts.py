"""Numbers as operators calculate with them: exactly, and money in the units of ISO 4217."""

from __future__ import annotations

from collections.abc import Callable
from decimal import (
    ROUND_CEILING,
    ROUND_DOWN,
    ROUND_FLOOR,
    ROUND_HALF_DOWN,
    ROUND_HALF_EVEN,
    ROUND_HALF_UP,
    ROUND_UP,
    Context,
    Decimal,
    DecimalException,
    InvalidOperation,
)
from math import isfinite
from typing import Any, Literal, cast

from airflow_datahub.conditions.numbers import decimal_of, number_of
from airflow_datahub.conversion import unfit
from airflow_datahub.errors import RejectRecord

Rounding = Literal["half_even", "half_up", "half_down", "up", "down", "ceiling", "floor"]
"""half_even: 0.5 to the even neighbour, as banks do; half_up: 0.5 away from zero, as schools do; up: away from zero;
down: towards it."""

ROUNDINGS: dict[str, str] = {
    "half_even": ROUND_HALF_EVEN,
    "half_up": ROUND_HALF_UP,
    "half_down": ROUND_HALF_DOWN,
    "up": ROUND_UP,
    "down": ROUND_DOWN,
    "ceiling": ROUND_CEILING,
    "floor": ROUND_FLOOR,
}
EXACT = Context(prec=100)
"""100 digits: more than any amount has; a result that has more is rounded there."""
MOST_DIGITS = 4_000

_BY_DIGITS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
    2: """AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF
CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS
INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD
NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL
THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG""",
}
MINOR_UNITS: dict[str, int] = {code: digits for digits, codes in _BY_DIGITS.items() for code in codes.split()}
"""Digits behind the point of each currency that has a minor unit (ISO 4217, list one of 2025, maintained by SIX)."""


def decimal(field: str, value: Any) -> Decimal:
    """A number, or a text that is one, exactly. Anything else is rejected."""
    kind = value.__class__
    number = number_of(value) if kind is str and len(value) <= MOST_DIGITS else value
    if number.__class__ not in (int, float, Decimal) or (number.__class__ is not int and not isfinite(number)):
        raise unfit(field, value, "is not a number")
    if number.__class__ is int and number.bit_length() > 3 * MOST_DIGITS:
        raise unfit(field, value, "has too many digits to calculate with")
    return Decimal(value) if kind is str else decimal_of(cast("float", number))


def as_given(result: Decimal, *given: Any) -> int | float | Decimal:
    """The result as the numbers were given that it is made of: whole while all were and it is, a float where one was,
    else a decimal."""
    kinds = {each.__class__ for each in given}
    if kinds <= {int} and result == result.to_integral_value():
        return int(result)
    return float(result) if float in kinds and Decimal not in kinds else result


def calculated(field: str, calculate: Callable[[], Decimal]) -> Decimal:
    """What a calculation gives; one without a result (a division by zero, one that is too large) is rejected."""
    try:
        result = calculate()
    except ZeroDivisionError as error:
        raise RejectRecord(f"{field}: a division by zero", field) from error
    except (DecimalException, OverflowError, ValueError) as error:
        why = "a division by zero" if isinstance(error, InvalidOperation) else type(error).__name__
        raise RejectRecord(f"{field}: cannot be calculated ({why})", field) from error
    if not result.is_finite():
        raise RejectRecord(f"{field}: the result is no number", field)
    return result


def rounded(field: str, number: Decimal, digits: int, rounding: str) -> Decimal:
    """The number with so many digits behind the point; below 0 they are before it."""
    context = Context(prec=MOST_DIGITS, rounding=ROUNDINGS[rounding])
    return calculated(field, lambda: number.quantize(Decimal(1).scaleb(-digits), context=context))


def minor_units(field: str, currency: Any) -> int:
    """Digits behind the point of a currency. An unknown one is rejected."""
    digits = MINOR_UNITS.get(currency) if currency.__class__ is str else None
    if digits is None:
        raise unfit(field, currency, "is not a currency of ISO 4217 such as EUR")
    return digits
