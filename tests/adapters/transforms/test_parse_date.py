"""parse_date: every form into one, and nothing guessed that is no date."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from airflow_datahub.errors import RejectRecord
from tests.adapters.transforms.operators import apply, operator

OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=OFFSETS)


def parsed(value: Any, **fields: Any) -> Any:
    return apply("parse_date", {"at": value}, field="at", **fields)["at"]


def expected(moment: datetime) -> str:
    """The form, worked out another way."""
    utc = moment.astimezone(UTC)
    fraction = f".{utc.microsecond:06d}" if utc.microsecond else ""
    fraction = fraction[:4] if fraction.endswith("000") else fraction
    text = f"{utc.year:04d}-{utc.month:02d}-{utc.day:02d}T{utc.hour:02d}:{utc.minute:02d}:{utc.second:02d}"
    return f"{text}{fraction}Z"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1705312200000, "2024-01-15T09:50:00Z"),
        (1705312200, "2024-01-15T09:50:00Z"),
        (1705312200000000, "2024-01-15T09:50:00Z"),
        (1705312200123, "2024-01-15T09:50:00.123Z"),
        (1705312200000123, "2024-01-15T09:50:00.000123Z"),
        (1705312200.5, "2024-01-15T09:50:00.500Z"),
        ("1705312200", "2024-01-15T09:50:00Z"),
        ("1705312200000", "2024-01-15T09:50:00Z"),
        ("1705312200.25", "2024-01-15T09:50:00.250Z"),
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59Z"),
        (-62135596800, "0001-01-01T00:00:00Z"),
        (99_999_999_999, "5138-11-16T09:46:39Z"),
        (100_000_000_000, "1973-03-03T09:46:40Z"),
        ("2024-01-15T09:50:00Z", "2024-01-15T09:50:00Z"),
        ("2024-01-15T09:50:00.120Z", "2024-01-15T09:50:00.120Z"),
        ("2024-01-15T09:50:00.12Z", "2024-01-15T09:50:00.120Z"),
        ("2024-01-15T09:50:00.000Z", "2024-01-15T09:50:00Z"),
        ("2024-01-15T09:50:00.123000Z", "2024-01-15T09:50:00.123Z"),
        ("2024-01-15T09:50:00.1234567Z", "2024-01-15T09:50:00.123456Z"),
        ("2024-01-15T09:50:00,500Z", "2024-01-15T09:50:00.500Z"),
        ("2024-01-15t09:50:00z", "2024-01-15T09:50:00Z"),
        ("2024-01-15 09:50", "2024-01-15T09:50:00Z"),
        ("2024-01-15T10:50:00+01:00", "2024-01-15T09:50:00Z"),
        ("20240115T095000.000Z", "2024-01-15T09:50:00Z"),
        ("2024-W03-1T09:50:00Z", "2024-01-15T09:50:00Z"),
        ("2024-01-15", "2024-01-15T00:00:00Z"),
        ("20240115", "2024-01-15T00:00:00Z"),
        (datetime(2024, 1, 15, 9, 50, tzinfo=UTC), "2024-01-15T09:50:00Z"),
        (date(2024, 1, 15), "2024-01-15T00:00:00Z"),
    ],
)
def test_it_reads(value: Any, text: str) -> None:
    assert parsed(value) == text


@pytest.mark.parametrize(
    "value",
    [
        True,
        False,
        "",
        " ",
        "soon",
        "2024-02-30",
        "2023-02-29T00:00:00Z",
        "2024-13-01",
        "2024-01-15T25:00:00Z",
        "2024-01-15T09:60:00Z",
        "2024-01-15T09:50:61Z",
        "0000-01-01",
        "10000-01-01",
        "2024-01-15x09:50:00",
        "2024",
        "12345678",
        "20240115095000",
        "٢٠٢٤-٠١-١٥",
        "²" * 10,
        "1e9",
        "1" * 5000,
        "9" * 18,
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        float("nan"),
        float("inf"),
        10**17,
        -(10**11) + 1,
        10**400,
        1e300,
        [],
        {},
        b"2024-01-15",
        "2024-01-15\ud80009:50:00",
        "\x00",
        "2024-01-15T09:50:00Z\n",
        " 2024-01-15",
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_what_is_no_date_is_rejected(value: Any) -> None:
    with pytest.raises(RejectRecord, match="at: ") as caught:
        parsed(value)
    assert caught.value.field == "at"
    assert len(caught.value.reason) < 250


@given(MOMENTS)
def test_iso_text_of_every_moment(moment: datetime) -> None:
    for fine in ("seconds", "milliseconds", "microseconds"):
        cut = {"seconds": 10**6, "milliseconds": 1000, "microseconds": 1}[fine]
        known = moment.replace(microsecond=moment.microsecond // cut * cut)
        assert parsed(moment.isoformat(timespec=fine)) == expected(known)
        utc = known.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=fine) + "Z"
        assert parsed(utc) == expected(known)
    assert parsed(moment) == expected(moment)


@given(st.datetimes(datetime(1973, 4, 1), datetime(5138, 1, 1), timezones=st.just(UTC)))
def test_epochs_are_told_apart(moment: datetime) -> None:
    micros = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    seconds = moment.replace(microsecond=0)
    assert parsed(micros) == expected(moment)
    assert parsed(micros // 1000) == expected(moment.replace(microsecond=moment.microsecond // 1000 * 1000))
    assert (
        parsed(micros // 10**6) == parsed(str(micros // 10**6)) == parsed(float(micros // 10**6)) == expected(seconds)
    )


@given(st.integers(-(10**11) + 1, 10**11 - 1))
def test_whole_seconds_of_every_year(seconds: int) -> None:
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except OverflowError:
        with pytest.raises(RejectRecord, match="years 1 to 9999"):
            parsed(seconds)
    else:
        assert parsed(seconds) == expected(moment)


@given(st.text(max_size=30) | st.from_regex(r"[0-9]{4}.?[0-9W]{2}.?[0-9]{1,2}(.[0-9:.,Zz+-]{0,20})?", fullmatch=True))
def test_any_text_is_a_canonical_date_or_rejected(text: str) -> None:
    try:
        result = parsed(text)
    except RejectRecord:
        return
    assert result == expected(datetime.fromisoformat(result))
    assert parsed(result) == result


@pytest.mark.parametrize("fraction", ["", ".120", ".000120", ".123456"])
def test_text_that_is_canonical_already_is_handed_on_as_it_is(fraction: str) -> None:
    text = f"2024-01-15T09:50:00{fraction}Z"
    assert parsed(text) is text


def test_formats_are_all_that_is_read() -> None:
    formats = ["%d.%m.%Y %H:%M", "%Y%m%d"]
    assert parsed("15.01.2024 09:50", formats=formats) == "2024-01-15T09:50:00Z"
    assert parsed(20240115, formats=formats) == parsed("20240115", formats=formats) == "2024-01-15T00:00:00Z"
    for value in ("2024-01-15", 1705312200, "31.02.2024 00:00", True):
        with pytest.raises(RejectRecord, match="at: "):
            parsed(value, formats=formats)


def test_a_time_without_offset_is_in_the_time_zone() -> None:
    assert parsed("2024-07-15 09:50", timezone="Europe/Berlin") == "2024-07-15T07:50:00Z"
    assert parsed("2024-07-15 09:50Z", timezone="Europe/Berlin") == "2024-07-15T09:50:00Z"
    assert parsed("15.01.2024", timezone="Europe/Berlin", formats=["%d.%m.%Y"]) == "2024-01-14T23:00:00Z"
    assert parsed("2024-10-27 02:30", timezone="Europe/Berlin") == "2024-10-27T00:30:00Z", "the first of two"
    with pytest.raises(RejectRecord, match="does not exist in Europe/Berlin"):
        parsed("2024-03-31 02:30", timezone="Europe/Berlin")


def test_it_writes_elsewhere_and_keeps_the_field() -> None:
    assert apply("parse_date", {"a": 0}, field="a", to="b.c") == {"a": 0, "b": {"c": "1970-01-01T00:00:00Z"}}
    with pytest.raises(RejectRecord, match="required"):
        apply("parse_date", {}, field="a", required=True)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"timezone": "Europe/Berln"}, "did you mean 'Europe/Berlin'"),
        ({"timezone": "../etc"}, "no time zone"),
        ({"timezone": "Europe"}, "no time zone"),
        ({"formats": []}, "at least 1"),
        ({"formats": ["%Q"]}, "strptime"),
        ({"formats": ["%"]}, "strptime"),
        ({"formats": [""]}, "strptime"),
    ],
)
def test_a_wrong_form_is_refused(fields: Any, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        operator("parse_date", field="a", **fields)
