"""What runs said: their log lines of level info and above, for thirty days."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa

from airflow_datahub.state import tables
from airflow_datahub.state.database import Database
from airflow_datahub.state.texts import storable

KEPT = timedelta(days=30)
AT_ONCE = 10_000
"""Old lines that are deleted at once: whoever ends a run waits for it."""

Level = Literal["info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class LogLine:
    """One event of a run."""

    at: datetime
    level: Level
    event: str
    fields: Mapping[str, Any]
    """JSON; what JSON has no form for is a text."""


class Logs:
    """The lines in a store. Each method is one transaction and raises what those of Store do."""

    def __init__(self, database: Database):
        self._database = database

    def add(self, pipeline: str, run_id: str, lines: Sequence[LogLine], *, prune: bool = False) -> None:
        """Keep lines, in their order; with `prune` old ones of all runs go."""
        table = tables.log
        rows = [
            {
                "pipeline": pipeline, "run_id": run_id, "at": line.at, "level": line.level,
                "event": storable(line.event), "fields": _fields(line.fields),
            }
            for line in lines
        ]  # fmt: skip
        with self._database.writing() as connection:
            if rows:
                self._database.insert(connection, table, rows)
            if prune:
                # rows that another run is deleting right now are left to it
                old = sa.select(table.c.id).where(table.c.at < datetime.now(UTC) - KEPT).limit(AT_ONCE)
                connection.execute(table.delete().where(table.c.id.in_(old.with_for_update(skip_locked=True))))

    def of(
        self, pipeline: str, run_id: str, levels: Sequence[Level] = ("info", "warning", "error"), limit: int = 1000
    ) -> list[LogLine]:
        """The last lines of a run, in their order."""
        table = tables.log
        columns = [table.c[name] for name in ("at", "level", "event", "fields")]
        query = sa.select(*columns).where(table.c.pipeline == pipeline, table.c.run_id == run_id)
        query = query.where(table.c.level.in_(levels)).order_by(table.c.id.desc()).limit(limit)
        with self._database.reading() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        return [LogLine(**row | {"fields": json.loads(row["fields"])}) for row in reversed(rows)]


def _fields(fields: Mapping[str, Any]) -> str:
    """As JSON; a text in it is cut where a reason would be."""
    plain = (bool, int, float, type(None))
    kept = {name: value if isinstance(value, plain) else storable(str(value)) for name, value in fields.items()}
    return json.dumps(kept, ensure_ascii=True)
