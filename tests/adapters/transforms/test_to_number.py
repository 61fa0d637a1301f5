"""to_number: exactly, or not at all."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from airflow_datahub.errors import RejectRecord
from tests.adapters.transforms.operators import apply


def number(value: Any, **fields: Any) -> Any:
    return apply("to_number", {"n": value}, field="n", **fields)["n"]


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ("12", 12),
        ("-12", -12),
        ("+12", 12),
        ("007", 7),
        ("1.50", 1.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("-0", 0),
        ("0.00", 0.0),
        ("9223372036854775808", 2**63),
        ("9" * 40, int("9" * 40)),
        ("0.1", 0.1),
        (3, 3),
        (10**400, 10**400),
        (2.5, 2.5),
        (Decimal("1.50"), Decimal("1.50")),
        (None, None),
        ("123456789012345.5", 123456789012345.5),
    ],
)
def test_it_reads(value: Any, result: Any) -> None:
    assert repr(number(value)) == repr(result)


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "1e999",
        "-1e999",
        "nan",
        "inf",
        "Infinity",
        "1,5",
        "1.234,5",
        "0x1",
        "1_000",
        " 12",
        "12 ",
        "12\n",
        "٣",
        "²",
        "one",
        "--1",
        "1e",
        ".",
        "e5",
        "9" * 5000,
        "0.12345678901234567890",
        "1e-400",
        True,
        False,
        float("nan"),
        float("inf"),
        [],
        {},
        "\ud800",
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_what_is_no_number_is_rejected(value: Any) -> None:
    with pytest.raises(RejectRecord, match="n: ") as caught:
        number(value)
    assert caught.value.field == "n"
    assert len(caught.value.reason) < 200


def test_decimals_keep_every_digit() -> None:
    assert str(number("1.50", decimal=True)) == "1.50"
    assert str(number("0.12345678901234567890", decimal=True)) == "0.12345678901234567890"
    assert number(1.1, decimal=True) == Decimal("1.1")
    assert number(5, decimal=True) == Decimal(5)
    for value in ("1e999", "", "x", True, float("inf"), Decimal("NaN")):
        with pytest.raises(RejectRecord):
            number(value, decimal=True)


@given(st.integers())
def test_every_whole_number_survives(value: int) -> None:
    assert number(str(value)) == value
    assert number(str(value), decimal=True) == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_survives_its_text(value: float) -> None:
    assert repr(number(repr(value))) == repr(value)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4))
def test_a_float_is_given_only_when_exact(value: Decimal) -> None:
    try:
        result = number(str(value))
    except RejectRecord as rejected:
        assert "decimal: true" in rejected.reason  # noqa: PT017
    else:
        assert Decimal(repr(result)) == value


def test_so_many_digits_are_read() -> None:
    assert number("9" * 4300) == int("9" * 4300)
    assert number("-1.50", max_digits=3) == -1.5
    assert number(12345, max_digits=3) == 12345
    for value, fields in (("1234", {}), ("-1.500", {}), ("1.500", {"decimal": True}), ("1e123", {})):
        with pytest.raises(RejectRecord, match=r"n: .* has more than 3 digits$"):
            number(value, max_digits=3, **fields)
    with pytest.raises(RejectRecord, match="more than 4,300 digits"):
        number("0." + "1" * 5000, decimal=True)


@pytest.mark.parametrize("digits", [0, 4301])
def test_python_reads_no_more_digits(digits: int) -> None:
    with pytest.raises(ValidationError, match="max_digits"):
        number("1", max_digits=digits)


def test_it_writes_elsewhere() -> None:
    assert apply("to_number", {"a": {"b": "1"}}, field="a.b", to="c") == {"a": {"b": "1"}, "c": 1}
    with pytest.raises(RejectRecord, match="required"):
        number(None, required=True)
