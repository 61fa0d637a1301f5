"""Numbers that arrive as text."""

from __future__ import annotations

import math
import re
from decimal import Decimal, InvalidOperation

_INTEGER = re.compile(r"[+-]?[0-9]+")
_FRACTION = re.compile(r"[+-]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][+-]?[0-9]+)?")
_SURE_DIGITS = 15
"""As many decimal digits as every float keeps."""


def number_of(text: str) -> int | float | Decimal | None:
    """The number that a text says, exactly: int without a point, else float, Decimal where a float would lose digits.

    None for what is no number or is too large for one: `1,5`, `0x1`, `nan`, `1e999`, ` 1`, over 4,300 digits."""
    if not _FRACTION.fullmatch(text):
        return _integer(text) if _INTEGER.fullmatch(text) else None
    number = float(text)
    if math.isinf(number):
        return None
    return number if len(text) <= _SURE_DIGITS and number else _exact(text, number)


def decimal_of(number: float) -> Decimal:
    """A number as the decimal that its text says: 1.1 is 1.1, not 1.100000000000000088."""
    return Decimal(repr(number)) if number.__class__ is float else Decimal(number)


def _integer(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:  # Python reads at most 4,300 digits
        return None


def _exact(text: str, number: float) -> float | Decimal | None:
    try:
        exact = Decimal(text)
    except InvalidOperation:
        return None
    return number if decimal_of(number) == exact else exact
