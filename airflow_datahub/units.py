"""Units of quantities, each by what it is in the quantity's base unit, exactly (BIPM's SI brochure, NIST SP 811)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Context, Decimal

from airflow_datahub.amounts import EXACT

_INCH, _FOOT, _POUND, _GALLON = Decimal("0.0254"), Decimal("0.3048"), Decimal("0.45359237"), Decimal("3.785411784")
_BY_KIND: Mapping[str, Mapping[str, Decimal | str | int]] = {
    "length": {
        "nm": "1e-9", "um": "1e-6", "mm": "0.001", "cm": "0.01", "dm": "0.1", "m": 1, "km": 1000, "in": _INCH,
        "ft": _FOOT, "yd": 3 * _FOOT, "mi": 5280 * _FOOT, "nmi": 1852,
    },
    "mass": {"ug": "1e-9", "mg": "1e-6", "g": "0.001", "kg": 1, "t": 1000, "oz": _POUND / 16, "lb": _POUND,
             "st": 14 * _POUND, "ct": "0.0002"},
    "volume": {
        "ml": "0.001", "cl": "0.01", "dl": "0.1", "l": 1, "hl": 100, "m3": 1000, "cm3": "0.001", "gal": _GALLON,
        "qt": _GALLON / 4, "pt": _GALLON / 8, "cup": _GALLON / 16, "fl_oz": _GALLON / 128, "gal_uk": "4.54609",
        "pt_uk": "0.56826125",
    },
    "area": {
        "mm2": "1e-6", "cm2": "0.0001", "m2": 1, "a": 100, "ha": 10_000, "km2": 1_000_000, "in2": _INCH**2,
        "ft2": _FOOT**2, "yd2": 9 * _FOOT**2, "acre": 43560 * _FOOT**2, "mi2": (5280 * _FOOT) ** 2,
    },
    "time": {"ms": "0.001", "s": 1, "min": 60, "h": 3600, "d": 86_400, "wk": 604_800},
    "data": {
        "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "kib": 2**10, "mib": 2**20, "gib": 2**30,
        "tib": 2**40,
    },
    "speed": {"m_s": 1, "km_h": Decimal(1000) / 3600, "mph": 5280 * _FOOT / 3600, "kn": Decimal(1852) / 3600},
    "energy": {"j": 1, "kj": 1000, "cal": "4.184", "kcal": 4184, "wh": 3600, "kwh": 3_600_000},
    "power": {"w": 1, "kw": 1000, "hp": "745.69987158227022"},
    "pressure": {"pa": 1, "hpa": 100, "kpa": 1000, "bar": 100_000, "psi": "6894.757293168361", "atm": 101_325},
}  # fmt: skip
_TEMPERATURES = {"c": Decimal("273.15"), "k": Decimal(0), "f": Decimal("459.67")}
"""Degrees above absolute zero at which each begins to count."""

UNITS: Mapping[str, tuple[str, Decimal]] = {
    **{unit: (kind, Decimal(size)) for kind, units in _BY_KIND.items() for unit, size in units.items()},
    **{unit: ("temperature", Decimal(1)) for unit in _TEMPERATURES},
}
"""By name: the quantity, and the size in its base unit."""


def kind_of_unit(unit: str) -> str | None:
    """The quantity that it measures; None for no unit."""
    return UNITS[unit][0] if unit in UNITS else None


def converted(quantity: Decimal, unit: str, to: str) -> Decimal:
    """The quantity in another unit of its kind."""
    if unit == to:
        return quantity
    if unit in _TEMPERATURES:
        return _temperature(quantity, unit, to)
    return _short(EXACT.divide(EXACT.multiply(quantity, UNITS[unit][1]), UNITS[to][1]))


def _temperature(quantity: Decimal, unit: str, to: str) -> Decimal:
    above_zero = EXACT.add(quantity, _TEMPERATURES[unit])
    if (unit == "f") is not (to == "f"):
        times, by = (5, 9) if unit == "f" else (9, 5)
        above_zero = EXACT.divide(EXACT.multiply(above_zero, Decimal(times)), Decimal(by))
    return _short(EXACT.subtract(above_zero, _TEMPERATURES[to]))


def _short(number: Decimal) -> Decimal:
    """With 28 digits at the most, and without zeros at its end."""
    made = number.normalize(Context(prec=28))
    return made.quantize(Decimal(1)) if made == made.to_integral_value() and made.adjusted() < 28 else made
