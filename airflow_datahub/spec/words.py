"""The small words of the grammar: shares, schedules, time zones, dates; and what its mappings have in common."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticKnownError

from airflow_datahub.quantities import text_schema, wanted

OnError = Literal["reject", "drop", "flag", "stop"]
"""What becomes of a record that an operator cannot serve."""

PRESETS = ("@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly")
"""Airflow's names for common cron texts."""

_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,9})?)%")
_PLAIN_CRON = re.compile(
    r"(\*|\*/[1-9]|\*/[1-5][0-9]|[1-5]?[0-9]) (\*|\*/[1-9]|1?[0-9]|2[0-3]) (\*|[1-9]|1[0-9]|2[0-8])"
    r" (\*|[1-9]|1[0-2]) (\*|[0-6])"
)
"""Nearly every one; croniter finds the next moment of any other, and comes with an import."""
_KEY = "[a-z][a-z0-9_]{0,99}"


class Word(BaseModel):
    """A mapping of the grammar."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, arbitrary_types_allowed=True, defer_build=True
    )


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole, from 0 to 1."""

    part: float

    def __str__(self) -> str:
        return f"{self.part * 100:.10g}%"


def _share_or_count(value: Any) -> Share | int:
    if isinstance(value, Share) or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    match = _SHARE.fullmatch(value) if isinstance(value, str) else None
    if match and float(match[1]) <= 100:
        return Share(float(match[1]) / 100)
    if isinstance(value, str) and re.fullmatch("[0-9]{1,18}", value):
        return int(value)
    raise wanted("a share such as 1%, at most 100%, or a count of records")


def no_flag(value: Any) -> Any:
    """Python takes true for 1; in YAML a count that is `true` is a mistake."""
    if isinstance(value, bool):
        raise wanted("a whole number")
    return value


def _cron(value: Any) -> str:
    text = " ".join(value.split()) if isinstance(value, str) else ""
    if len(text.split(" ")) != 5 or len(text) > 200 or not _is_cron(text):
        raise wanted("a cron text of five fields: minute, hour, day, month, weekday")
    return text


def _is_cron(text: str) -> bool:
    if _PLAIN_CRON.fullmatch(text):
        return True
    from croniter import croniter  # type: ignore[import-untyped]

    try:
        croniter(text, datetime(2024, 1, 1, tzinfo=UTC)).get_next()
    except Exception:  # croniter lets KeyError and others through for odd texts
        return False
    return True


def _cron_or_preset(value: Any) -> str:
    if isinstance(value, list | dict):
        raise PydanticKnownError("string_type")  # the other forms of a schedule say what is wrong
    if value in PRESETS:
        return str(value)
    if isinstance(value, str) and not value.startswith("@"):
        return _cron(value)
    raise wanted(f"a cron text, a list of them, {{every: 15m}} or one of {', '.join(PRESETS)}")


def _key(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(_KEY, value):
        return value
    raise wanted("a name such as load_events: a small letter, then small letters, digits and _")


def _time_zone(value: Any) -> str:
    from zoneinfo import ZoneInfo, available_timezones

    try:
        return ZoneInfo(value).key
    except Exception:  # a folder, an absolute path, a text too long: each another error
        raise wanted("a time zone such as Europe/Paris", near(str(value), available_timezones())) from None


def _moment(value: Any) -> datetime:
    """A date or a date and time in ISO 8601; without an offset it stays naive."""
    if isinstance(value, datetime):
        return value
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise wanted("a date such as 2024-01-31 or 2024-01-31T08:00:00Z") from None


def _instant(value: Any) -> datetime:
    moment = _moment(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def near(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'table'?`, or nothing when no known name is close."""
    return did_you_mean(nearest(name, known))


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like this one."""
    import difflib

    return next(iter(difflib.get_close_matches(name[:100], list(known), n=1)), None)


def did_you_mean(name: str | None) -> str:
    """The end of a message that says what was probably meant."""
    return f"; did you mean {name!r}?" if name else ""


ShareOrCount = Annotated[
    Share | int,
    BeforeValidator(_share_or_count),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^[0-9]{1,3}(\.[0-9]+)?%$"}]}
    ),
]
Count = Annotated[int, BeforeValidator(no_flag), Field(ge=0, le=2**31 - 1)]
Positive = Annotated[int, BeforeValidator(no_flag), Field(ge=1, le=2**31 - 1)]
Cron = Annotated[str, BeforeValidator(_cron)]
CronOrPreset = Annotated[str, BeforeValidator(_cron_or_preset)]
TimeZone = Annotated[str, BeforeValidator(_time_zone)]
Moment = Annotated[datetime, BeforeValidator(_moment), WithJsonSchema({"type": "string"})]
Instant = Annotated[datetime, BeforeValidator(_instant), WithJsonSchema({"type": "string"})]
Key = Annotated[str, BeforeValidator(_key), text_schema(f"^{_KEY}$", "load_events")]
Name = Annotated[str, Field(min_length=1, max_length=250)]
