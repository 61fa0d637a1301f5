"""When records came last: what tells silence from a pause."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from airflow_datahub.state import tables
from airflow_datahub.state.database import Database

TOLD = "silence told"
"""What the audit calls it."""


def quiet_since(database: Database, pipeline: str) -> datetime | None:
    """The end of the last run that brought a record (of one that runs, or was killed: its start); without any, the
    start of the first run; None before that."""
    run, step = tables.run, tables.step
    brought = sa.and_(step.c.pipeline == run.c.pipeline, step.c.run_id == run.c.run_id, step.c.place == 0)
    last = sa.select(sa.func.max(sa.func.coalesce(run.c.ended_at, run.c.started_at), type_=tables.Moment))
    last = last.select_from(run.join(step, brought)).where(run.c.pipeline == pipeline, step.c.records_in > 0)
    first = sa.select(sa.func.min(run.c.started_at, type_=tables.Moment)).where(run.c.pipeline == pipeline)
    with database.reading() as connection:
        found: datetime | None = connection.scalar(last) or connection.scalar(first)
    return found


def told_at(database: Database, pipeline: str) -> datetime | None:
    """When somebody was last told that nothing comes."""
    audit = tables.audit
    query = sa.select(sa.func.max(audit.c.at, type_=tables.Moment))
    with database.reading() as connection:
        found: datetime | None = connection.scalar(query.where(audit.c.pipeline == pipeline, audit.c.act == TOLD))
    return found
