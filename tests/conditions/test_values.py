"""Values and numbers as records hold them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from airflow_datahub.conditions.numbers import decimal_of, number_of
from airflow_datahub.conditions.values import canonical, json_value, shown


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2024, 1, 15, 9, 50, tzinfo=UTC), "2024-01-15T09:50:00Z"),
        (datetime(2024, 1, 15, 9, 50, 0, 250_000, tzinfo=UTC), "2024-01-15T09:50:00.250Z"),
        (datetime(2024, 1, 15, 9, 50, 0, 250_001, tzinfo=UTC), "2024-01-15T09:50:00.250001Z"),
        (datetime(2024, 1, 15, 10, 50, tzinfo=timezone(timedelta(hours=1))), "2024-01-15T09:50:00Z"),
    ],
)
def test_a_moment_is_text_in_utc(moment: datetime, text: str) -> None:
    assert canonical(moment) == text


def test_a_moment_beyond_the_calendar_of_utc_is_refused() -> None:
    with pytest.raises(OverflowError):
        canonical(datetime.max.replace(tzinfo=timezone(-timedelta(hours=14))))


def test_dates_become_text_wherever_they_are() -> None:
    value = {"b": [date(2024, 1, 15), (datetime(2024, 1, 15),)], "a": Decimal("1.10"), "n": None}
    made = json_value(value, sort=True)
    assert made == {"a": Decimal("1.10"), "b": ["2024-01-15", ["2024-01-15T00:00:00Z"]], "n": None}
    assert list(made) == ["a", "b", "n"]


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], {1: "x"}, {"x": object()}, {"x": b"bytes"}])
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"JSON can hold|cannot name a field|cannot be in a record"):
        json_value(value)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12),
        ("1.50", 1.5),
        ("0.1", 0.1),
        ("0.10000000000000000001", Decimal("0.10000000000000000001")),
        ("12345678901234567890.5", Decimal("12345678901234567890.5")),
        ("1e999", None),
        ("1,5", None),
        (" 1", None),
        ("9" * 5000, None),
    ],
)
def test_a_text_is_the_number_that_it_says_or_none(text: str, number: Any) -> None:
    assert repr(number_of(text)) == repr(number)


def test_a_float_is_the_decimal_that_its_text_says() -> None:
    assert decimal_of(1.1) == Decimal("1.1")
    assert decimal_of(3) == Decimal(3)


class _Unshowable:
    def __repr__(self) -> str:
        raise ValueError("no")


def test_a_value_is_shown_shortly_whatever_it_is() -> None:
    assert shown("é" * 3) == "'\\xe9\\xe9\\xe9'"
    assert shown(10**2000) == "an integer of 6644 bits"
    assert "_Unshowable" in shown(_Unshowable())
    for value in ("x" * 10_000, ["x" * 100] * 100, {"a": {"b": {"c": {"d": {"e": {"f": {"g": 1}}}}}}}):
        assert len(shown(value)) < 400
