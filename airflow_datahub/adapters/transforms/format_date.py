"""Write a date and time in another form.

Read are ISO 8601, as `parse_date` gives it, and counts since 1970.

Example:
    format_date: {field: created, form: "%d.%m.%Y %H:%M", timezone: Europe/Berlin}

Given:
    - {created: "2024-07-15T09:50:00Z"}

Gives:
    - {created: 15.07.2024 11:50}
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Annotated, Any

from pydantic import AfterValidator

from airflow_datahub.conditions.values import canonical
from airflow_datahub.conversion import Conversion, Convert, mistake, unfit
from airflow_datahub.moments import ZoneName, moment_of, shifted, since_epoch

_NAMED: dict[str, Callable[[datetime], Any]] = {
    "iso": lambda moment: canonical(moment) if moment.tzinfo is UTC else moment.isoformat(),
    "date": lambda moment: moment.date().isoformat(),
    "time": lambda moment: moment.time().isoformat(),
    "rfc2822": format_datetime,
    "http": lambda moment: format_datetime(moment.astimezone(UTC), usegmt=True),
    "epoch": lambda moment: since_epoch(moment, timedelta(seconds=1)),
    "epoch_ms": lambda moment: since_epoch(moment, timedelta(milliseconds=1)),
}
_CODES = frozenset("aAbBdHIjmMpSyYzZfGuVU%")


def _form(text: str) -> str:
    codes = text.replace("%%", "").split("%")[1:]
    if text in _NAMED or (codes and all(code[:1] in _CODES for code in codes)):
        return text
    raise mistake(f"no form {text!r}: one of {', '.join(_NAMED)}, or codes such as %d.%m.%Y %H:%M:%S")


class FormatDate(Conversion):
    form: Annotated[str, AfterValidator(_form)]
    """iso, date, time, rfc2822, http, epoch, epoch_ms, or codes as Python's strftime has them."""

    timezone: ZoneName = "UTC"
    """Whose clocks show it."""

    def conversion(self) -> Convert:
        write = _NAMED.get(self.form) or (lambda moment: _with_year(moment).strftime(self.form))

        def convert(value: object) -> Any:
            moment = shifted(self.field, moment_of(self.field, value), self.timezone)
            try:
                return write(moment)
            except (ValueError, OverflowError) as error:
                raise unfit(self.field, value, f"cannot be written so: {error}") from error

        return convert


def _with_year(moment: datetime) -> datetime:
    """strftime writes years before 1000 with fewer digits on some systems, and another meaning when read again."""
    if moment.year < 1000:
        raise ValueError("a year before 1000")
    return moment
