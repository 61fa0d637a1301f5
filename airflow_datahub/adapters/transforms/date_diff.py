"""How long it is from one moment to another; below zero where the second one is the earlier.

Example:
    date_diff: {from: ordered, until: shipped, unit: days, to: waited}

Given:
    - {ordered: "2024-01-15T09:00:00Z", shipped: "2024-01-18T08:00:00Z"}

Gives:
    - {ordered: "2024-01-15T09:00:00Z", shipped: "2024-01-18T08:00:00Z", waited: 2}
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field

from airflow_datahub.contract import Function, Record, Run, Transform
from airflow_datahub.moments import moment_of
from airflow_datahub.paths import MISSING, FieldPath, absent, getter, looked_into, read_by, setter

_UNITS = {
    "weeks": timedelta(weeks=1),
    "days": timedelta(days=1),
    "hours": timedelta(hours=1),
    "minutes": timedelta(minutes=1),
    "seconds": timedelta(seconds=1),
    "milliseconds": timedelta(milliseconds=1),
}


class DateDiff(Transform):
    from_: FieldPath = Field(alias="from")
    """The field of the first moment."""

    until: FieldPath | None = None
    """The field of the second one; left out, the start of the run."""

    to: FieldPath
    """The field that gets the number."""

    unit: Literal["weeks", "days", "hours", "minutes", "seconds", "milliseconds"] = "seconds"
    """What is counted."""

    whole: bool = True
    """Count whole units; false: with parts of one."""

    required: bool = False
    """Reject a record in which one of the fields is missing or null."""

    def carries(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        read = [self.from_, *filter(None, [self.until])]
        return None if read_by(names, *read) or looked_into(names, self.to) else names

    def compile(self, run: Run) -> Function:
        unit, put = _UNITS[self.unit], setter(self.to)
        first, second = getter(self.from_), getter(self.until) if self.until else None

        def moment(record: Record, field: str, value: object) -> datetime | None:
            if value is not None and value is not MISSING:
                return moment_of(field, value)
            if self.required:
                raise absent(field)
            return None

        def difference(record: Record) -> Record:
            begin = moment(record, self.from_, first(record))
            end = moment(record, self.until or "", second(record)) if second else run.started
            if begin is not None and end is not None:
                between = end - begin
                count = abs(between) // unit
                put(record, (count if between >= timedelta() else -count) if self.whole else between / unit)
            return record

        return difference
