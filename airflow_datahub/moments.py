"""Moments as records hold them: ISO 8601 text, or a count of seconds, milliseconds or microseconds since 1970."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from difflib import get_close_matches
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator

from airflow_datahub.conversion import mistake, unfit

SECONDS_BELOW, MILLISECONDS_BELOW, MICROSECONDS_BELOW = 10**11, 10**14, 10**17
"""A count below the first one is of seconds, below the second of milliseconds, below the third of microseconds."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_TEXT = 64

Twice = Literal["reject", "earlier", "later"]
"""What a local time means that the clocks show twice, when they go back."""


def zone(name: str) -> str:
    """The name of a time zone, if there is one; else a mistake that says which is nearest."""
    try:
        ZoneInfo(name)
    except (ValueError, LookupError, OSError) as error:
        near = get_close_matches(name, available_timezones(), n=1)
        raise mistake(f"no time zone {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")) from error
    return name


ZoneName = Annotated[str, AfterValidator(zone)]
"""A field of a model that names a time zone."""


def moment_of(field: str, value: Any, local: str = "UTC") -> datetime:
    """The aware moment of a value; a time without an offset is in the zone `local`. Anything else is rejected."""
    if value.__class__ is str and len(value) <= _LONGEST_TEXT:
        moment = _of_text(value)
    elif value.__class__ in (int, float):
        moment = _of_count(value)
    else:
        moment = datetime.combine(value, time()) if value.__class__ is date else value
    if not isinstance(moment, datetime):
        raise unfit(field, value, "is not a date in ISO 8601 or a count since 1970; `parse_date` reads other forms")
    return moment if moment.tzinfo else in_zone(field, moment, local)


def in_zone(field: str, moment: datetime, name: str, twice: Twice = "earlier") -> datetime:
    """The moment at which the clocks of a zone show this local time. One that they never show is rejected."""
    there = moment.replace(tzinfo=ZoneInfo(name), fold=int(twice == "later"))
    try:
        if there.astimezone(UTC).astimezone(there.tzinfo).replace(tzinfo=None, fold=0) != moment.replace(fold=0):
            raise unfit(field, str(moment), f"does not exist in {name}: the clocks went forward")
        if twice == "reject" and there.replace(fold=1).utcoffset() != there.utcoffset():
            raise unfit(field, str(moment), f"is there twice in {name}: the clocks went back")
    except OverflowError as error:
        raise unfit(field, str(moment), "lies outside the years 1 to 9999") from error
    return there


def shifted(field: str, moment: datetime, name: str) -> datetime:
    """The same moment by the clocks of a zone."""
    try:
        return moment.astimezone(UTC if name == "UTC" else ZoneInfo(name))
    except OverflowError as error:
        raise unfit(field, str(moment), "lies outside the years 1 to 9999") from error


def since_epoch(moment: datetime, unit: timedelta) -> int:
    """How many units have gone by since 1970, whole ones."""
    return (moment - _EPOCH) // unit


def offset_zone(moment: datetime) -> timezone:
    """A zone that always is as far from UTC as the moment."""
    return timezone(moment.utcoffset() or timedelta())


def _of_text(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _of_count(count: float) -> datetime | None:
    size = abs(count)
    if not size < MICROSECONDS_BELOW:  # also nan
        return None
    micros = round(count * (1_000_000 if size < SECONDS_BELOW else 1000 if size < MILLISECONDS_BELOW else 1))
    try:
        return _EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        return None
