"""Move a date and time by years, months, weeks, days, hours, minutes or seconds.

A month later than January 31 is the last day of February. Days and longer steps keep the time that the clocks of the
zone show; shorter ones are as long as they are.

Example:
    date_add: {field: start, months: 1, to: due}

Given:
    - {start: "2024-01-31T10:00:00Z"}

Gives:
    - {start: "2024-01-31T10:00:00Z", due: "2024-02-29T10:00:00Z"}
"""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import Field, model_validator

from airflow_datahub.conditions.values import canonical
from airflow_datahub.conversion import Conversion, Convert, mistake, unfit
from airflow_datahub.moments import ZoneName, in_zone, moment_of, shifted

Steps = Annotated[int, Field(ge=-10_000_000, le=10_000_000)]


class DateAdd(Conversion):
    years: Steps = 0
    """Years; below 0 back."""

    months: Steps = 0
    """Months."""

    weeks: Steps = 0
    """Weeks."""

    days: Steps = 0
    """Days."""

    hours: Steps = 0
    """Hours."""

    minutes: Steps = 0
    """Minutes."""

    seconds: Steps = 0
    """Seconds."""

    timezone: ZoneName = "UTC"
    """In whose calendar years, months, weeks and days are counted."""

    @model_validator(mode="after")
    def _moves(self) -> DateAdd:
        steps = ("years", "months", "weeks", "days", "hours", "minutes", "seconds")
        if not any(getattr(self, name) for name in steps):
            raise mistake(f"wants one of {', '.join(steps)}, other than 0")
        return self

    def conversion(self) -> Convert:
        return self._moved

    def _moved(self, value: Any) -> str:
        try:
            moment = moment_of(self.field, value)
            if self.years or self.months or self.weeks or self.days:
                local = self._by_calendar(shifted(self.field, moment, self.timezone).replace(tzinfo=None, fold=0))
                moment = in_zone(self.field, local, self.timezone)
            later = timedelta(hours=self.hours, minutes=self.minutes, seconds=self.seconds)
            return canonical(moment.astimezone(UTC) + later)
        except (OverflowError, ValueError) as error:
            raise unfit(self.field, value, "moved so lies outside the years 1 to 9999") from error

    def _by_calendar(self, local: datetime) -> datetime:
        month = local.year * 12 + local.month - 1 + self.years * 12 + self.months
        year, month = month // 12, month % 12 + 1
        if not 1 <= year <= 9999:
            raise OverflowError
        day = min(local.day, monthrange(year, month)[1])
        return local.replace(year=year, month=month, day=day) + timedelta(weeks=self.weeks, days=self.days)
