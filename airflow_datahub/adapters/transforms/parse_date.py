"""Read dates in any form into one: ISO 8601 text in UTC, `2024-01-15T09:50:00Z`.

Milliseconds or microseconds stand there only when not zero; what is finer is cut. Read are ISO 8601 (a time without
offset is in `timezone`), datetimes, and epochs in seconds (below 100,000,000,000), milliseconds (below a thousand times
that) or microseconds, also as text of nine digits or more. A date that does not exist rejects the record.

Example:
    parse_date: {field: timestamp}

Given:
    - {id: a, timestamp: 1705312200000}
    - {id: b, timestamp: "2024-01-15T10:50:00.250+01:00"}
    - {id: c, timestamp: "2024-01-15"}

Gives:
    - {id: a, timestamp: "2024-01-15T09:50:00Z"}
    - {id: b, timestamp: "2024-01-15T09:50:00.250Z"}
    - {id: c, timestamp: "2024-01-15T00:00:00Z"}
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from difflib import get_close_matches
from typing import Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from airflow_datahub.conditions.values import canonical, kind_of, shown
from airflow_datahub.contract import Code, Function, Run, Transform
from airflow_datahub.errors import RejectRecord
from airflow_datahub.paths import FieldPath, converter, inline_converter, looked_into, read_by

_SECONDS_BELOW, _MILLISECONDS_BELOW, _MICROSECONDS_BELOW = 10**11, 10**14, 10**17
_EPOCH = date(1970, 1, 1).toordinal()
_SECONDS = tuple(f"{second // 60:02d}:{second % 60:02d}" for second in range(3600))
_MILLIS = ("Z", *(f".{millis:03d}Z" for millis in range(1, 1000)))
_FRACTIONS = frozenset(_MILLIS)
_EPOCH_TEXT = re.compile(r"-?[0-9]{9,18}(?:\.[0-9]+)?")
_STRANGE = re.compile(r"[^0-9TWZ:.,+\- ]")
_LONGEST_TEXT = 64


class _Hours(dict[int, str]):
    """The text of each hour since 1970, made once; emptied at 20,000, so that hostile dates cannot fill the memory."""

    def __missing__(self, hour: int) -> str:
        if len(self) >= 20_000:
            self.clear()
        day, rest = divmod(hour, 24)
        text = self[hour] = f"{date.fromordinal(_EPOCH + day).isoformat()}T{rest:02d}:"
        return text


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, LookupError, OSError) as error:
        near = get_close_matches(name, available_timezones(), n=1)
        reason = f"no time zone {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
        raise PydanticCustomError("timezone", "{reason}", {"reason": reason}) from error
    return name


def _format(text: str) -> str:
    try:
        datetime.strptime("", text)
    except ValueError as error:
        if "does not match format" in str(error):
            return text
    reason = f"{text!r} is not a format that strptime knows, such as %d.%m.%Y %H:%M"
    raise PydanticCustomError("strptime", "{reason}", {"reason": reason})


class ParseDate(Transform):
    field: FieldPath
    """The field that holds the date."""

    to: FieldPath | None = None
    """The field that gets the result; left out, it is the same one."""

    formats: Annotated[list[Annotated[str, AfterValidator(_format)]], Field(min_length=1)] | None = None
    """Only these forms are read, tried in order, as Python's strptime writes them: %d.%m.%Y %H:%M."""

    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"
    """Where a date or time without an offset was written. A time that a change of clocks left out is rejected."""

    required: bool = False
    """Reject a record in which the field is missing or null."""

    def carries(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        return None if read_by(names, self.field) or looked_into(names, self.to or self.field) else names

    def compile(self, run: Run) -> Function:
        return converter(self.field, self.to, self._conversion(), self.required)

    def inline(self, code: Code) -> bool:
        return inline_converter(code, self.field, self.to, self._conversion(), self.required)

    def _conversion(self) -> Callable[[Any], str]:
        local = _local(self.field, self.timezone)
        texts = _any_format(self.field, self.formats, local) if self.formats else _iso_text(self.field, local)
        convert = _any_kind(self.field, texts, local)
        return _formatted(convert, texts) if self.formats else convert


def _any_kind(field: str, from_text: Callable[[str], str], local: Callable[[datetime], str]) -> Callable[[Any], str]:
    hours = _Hours()

    def convert(value: Any) -> str:
        kind = value.__class__
        if kind is str:
            return from_text(value)
        if kind is int and 0 <= value < _MILLISECONDS_BELOW:  # by far the most frequent
            if value < _SECONDS_BELOW:
                return f"{hours[value // 3600]}{_SECONDS[value % 3600]}Z"
            hour, millis = divmod(value, 3_600_000)
            return f"{hours[hour]}{_SECONDS[millis // 1000]}{_MILLIS[millis % 1000]}"
        if kind is int or kind is float:
            return _epoch(field, value, hours)
        if isinstance(value, date):
            return local(value if isinstance(value, datetime) else datetime.combine(value, time()))
        raise RejectRecord(f"{field}: {shown(value)} ({kind_of(value)}) is not a date", field)

    return convert


def _formatted(convert: Callable[[Any], str], from_text: Callable[[str], str]) -> Callable[[Any], str]:
    """With formats a number is no epoch: 20240115 has the form %Y%m%d."""
    return lambda value: from_text(str(value)) if value.__class__ in (int, float) else convert(value)


def _epoch(field: str, value: float, hours: _Hours) -> str:
    size = abs(value)
    if not size < _MICROSECONDS_BELOW:  # also nan
        raise _out_of_range(field, value)
    micros = round(value * (1_000_000 if size < _SECONDS_BELOW else 1000 if size < _MILLISECONDS_BELOW else 1))
    seconds, rest = divmod(micros, 1_000_000)
    hour, second = divmod(seconds, 3600)
    try:
        return hours[hour] + _SECONDS[second] + (f".{rest:06d}Z" if rest % 1000 else _MILLIS[rest // 1000])
    except (ValueError, OverflowError) as error:
        raise _out_of_range(field, value) from error


def _iso_text(field: str, local: Callable[[datetime], str]) -> Callable[[str], str]:
    hours, read = _Hours(), datetime.fromisoformat

    def convert(text: str) -> str:
        end = text[19:]
        canonical_end = end in _FRACTIONS or (len(end) == 8 and end[0] == "." and end[4:7] != "000" and end[7] == "Z")
        as_it_is = canonical_end and text[7] == "-" and text[10] == "T" and text[13] == ":"
        if not as_it_is and text.isdecimal() and len(text) != len("20240115"):
            return number(text)
        try:
            moment = read(text)
        except ValueError:
            return other(text)
        if as_it_is:
            return text
        if _STRANGE.search(text) or len(text) > _LONGEST_TEXT:
            raise _not_a_date(field, text)
        return local(moment)

    def other(text: str) -> str:
        if len(text) > _LONGEST_TEXT:
            raise _not_a_date(field, text)
        return number(text) if text == text.upper() else convert(text.upper())

    def number(text: str) -> str:
        if not _EPOCH_TEXT.fullmatch(text) or len(text) == len("YYYYMMDDHHMMSS"):
            raise _not_a_date(field, text)
        return _epoch(field, float(text) if "." in text else int(text), hours)

    return convert


def _any_format(field: str, formats: list[str], local: Callable[[datetime], str]) -> Callable[[str], str]:
    def convert(text: str) -> str:
        for each in formats:
            try:
                moment = datetime.strptime(text, each)
            except ValueError:
                continue
            return local(moment)
        raise RejectRecord(f"{field}: {shown(text)} has none of the formats {', '.join(formats)}", field)

    return convert


def _local(field: str, timezone: str) -> Callable[[datetime], str]:
    zone = UTC if timezone == "UTC" else ZoneInfo(timezone)

    def convert(moment: datetime) -> str:
        try:
            if moment.tzinfo is not None:
                return canonical(moment)
            there = moment.replace(tzinfo=zone)
            if there.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != moment:
                raise RejectRecord(f"{field}: {moment} does not exist in {timezone}, the clocks went forward", field)
            return canonical(there)
        except (OverflowError, ValueError) as error:
            raise _out_of_range(field, moment) from error

    return convert


def _out_of_range(field: str, value: object) -> RejectRecord:
    return RejectRecord(f"{field}: {shown(value)} lies outside the years 1 to 9999", field)


def _not_a_date(field: str, text: str) -> RejectRecord:
    return RejectRecord(
        f"{field}: {shown(text)} is not a date in ISO 8601 or an epoch; name its form in `formats`", field
    )
