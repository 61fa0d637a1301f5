"""Write a moment by the clocks of a zone, with their distance from UTC; or read a local time as one of that zone.

Example:
    timezone: {field: at, zone: America/New_York}

Given:
    - {at: "2024-07-15T09:50:00Z"}

Gives:
    - {at: "2024-07-15T05:50:00-04:00"}
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow_datahub.conversion import Conversion, Convert, unfit
from airflow_datahub.moments import Twice, ZoneName, in_zone, moment_of, shifted


class Timezone(Conversion):
    zone: ZoneName
    """The zone, by its name in the IANA database."""

    local: bool = False
    """The value is a local time of the zone, without an offset; one with an offset is rejected."""

    twice: Twice = "reject"
    """With `local`: what a time means that the clocks show twice, when they go back."""

    def conversion(self) -> Convert:
        return self._of_zone if self.local else self._into_zone

    def _into_zone(self, value: Any) -> str:
        return shifted(self.field, moment_of(self.field, value), self.zone).isoformat()

    def _of_zone(self, value: Any) -> str:
        try:
            moment = datetime.fromisoformat(value) if isinstance(value, str) and len(value) < 64 else None
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo:
            raise unfit(self.field, value, "is not a local time in ISO 8601, without an offset")
        return in_zone(self.field, moment, self.zone, self.twice).isoformat()
