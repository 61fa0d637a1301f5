"""A real database with the sink on it, as the tests of the PostgreSQL sink use it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from airflow_datahub.adapters.sinks.postgres import Postgres
from airflow_datahub.contract import Batch, Checkpoint, Connection, Run, Stream, Writer, Written

STREAM = Stream("pipeline", "extract>load")


def connection(dsn: str, **changes: Any) -> Connection:
    """The Airflow connection `warehouse` for an address."""
    parts = conninfo_to_dict(dsn)
    found = Connection(
        "warehouse", "postgres", str(parts["host"]), str(parts["user"]), str(parts["password"]),
        str(parts["dbname"]), int(str(parts["port"])),
    )  # fmt: skip
    return replace(found, **changes)


def checkpoint(version: int, **fields: Any) -> Checkpoint:
    """A checkpoint of that version."""
    return replace(Checkpoint(version, "run-1", f"after {version}", 0, "f", {}), **fields)


@dataclass
class Journal:
    """A log that is kept: events, each with its fields."""

    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def debug(self, event: str, **fields: Any) -> None:
        self.events.append((event, fields))

    info = warning = error = debug

    def names(self) -> list[str]:
        """The events alone."""
        return [name for name, _ in self.events]


@dataclass
class Warehouse:
    """One database."""

    dsn: str
    log: Journal = field(default_factory=Journal)
    stopping: threading.Event = field(default_factory=threading.Event)

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Run statements and give the rows of the last."""
        with psycopg.connect(self.dsn, autocommit=True) as session:
            cursor = session.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def open(self, connection_changes: Mapping[str, Any] | None = None, **config: Any) -> Writer:
        """A writer; by default of table `events` with key `id`."""
        found = connection(self.dsn, **(connection_changes or {}))
        run = Run(
            pipeline="pipeline", run_id="run-1", connections=lambda _: found, log=self.log, stopping=self.stopping
        )  # fmt: skip
        return Postgres(**{"connection": "warehouse", "table": "events", "key": ["id"], **config}).open(run, STREAM)

    def load(self, *records: dict[str, Any], **config: Any) -> Written:
        """One batch through a writer of its own, on from the checkpoint that stands."""
        return self.load_batch(Batch(list(records)), **config)

    def load_batch(self, batch: Batch, **config: Any) -> Written:
        """As `load`, with origins."""
        writer = self.open(**config)
        try:
            stands = writer.resume()
            return commit(writer, batch, stands.version + 1 if stands else 1)
        finally:
            writer.close()

    def columns(self, table: str = "events") -> list[tuple[str, str, bool, str | None]]:
        """Name, type, whether null is refused, default."""
        return self.sql(
            "select a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(adbin, adrelid)"
            " from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum"
            f" where a.attrelid = '{table}'::regclass and a.attnum > 0 order by a.attnum"
        )


def commit(writer: Writer, batch: Batch, version: int) -> Written:
    """Prepare and commit a batch; the counters hold its number of inserts."""
    written = writer.commit(writer.prepare(batch), checkpoint(version), lambda written: {"inserted": written.inserted})
    assert written.total == len(batch.records)
    return written
