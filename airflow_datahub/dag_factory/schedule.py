"""When a pipeline runs by itself, in Airflow's words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow.sdk import CronTriggerTimetable, DeltaTriggerTimetable, MultipleCronTriggerTimetable

from airflow_datahub.spec import Every, Pipeline

if TYPE_CHECKING:
    from airflow.sdk.bases.timetable import BaseTimetable

BEGINNING = datetime(2024, 1, 1, tzinfo=UTC)
"""The start date of a pipeline that names none: fixed, because a DAG must come out the same each time it is parsed."""


def timetable(pipeline: Pipeline) -> BaseTimetable | None:
    """Runs at points in time, without data intervals; None for runs by hand only."""
    schedule, timezone = pipeline.schedule, pipeline.timezone
    if schedule is None:
        return None
    if isinstance(schedule, Every):
        return DeltaTriggerTimetable(schedule.every)
    if isinstance(schedule, str):
        return CronTriggerTimetable(schedule, timezone=timezone)
    return MultipleCronTriggerTimetable(*schedule, timezone=timezone)
