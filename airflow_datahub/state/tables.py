"""The tables of the store. Their names carry a prefix, because the database may be shared with other things."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from airflow_datahub.errors import ConfigurationError
from airflow_datahub.state.database import Database
from airflow_datahub.state.rows import Counters

SCHEMA_VERSION = 8
"""What the steps at the end of this file lead to."""


class Moment(sa.types.TypeDecorator[datetime]):
    """A time in UTC; SQLite forgets the zone."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Into UTC, whatever zone it came in."""
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Into UTC, in which it was stored."""
        return value and (value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC))


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=null)


metadata = sa.MetaData()

schema = sa.Table("datahub_schema", metadata, sa.Column("version", sa.Integer, primary_key=True))

run = sa.Table(
    "datahub_run",
    metadata,
    sa.Column("pipeline", sa.Text, primary_key=True),
    sa.Column("run_id", sa.Text, primary_key=True),
    _text("state"),
    sa.Column("started_at", Moment, nullable=False, index=True),
    sa.Column("ended_at", Moment),
    _text("revision"),
    _text("trigger"),
    sa.Column("tries", sa.Integer, nullable=False),
    _text("error", null=True),
    _text("mask", null=True),
    _text("dag", null=True),
    _text("task", null=True),
)

step = sa.Table(
    "datahub_step",
    metadata,
    sa.Column("pipeline", sa.Text, primary_key=True),
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("partition", sa.Text, primary_key=True),
    sa.Column("step", sa.Text, primary_key=True),
    sa.Column("place", sa.Integer, nullable=False),
    *(
        sa.Column(counter.name, sa.Double if counter.name == "seconds" else sa.BigInteger, nullable=False)
        for counter in fields(Counters)
    ),
)

reject = sa.Table(
    "datahub_reject",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    _text("pipeline"),
    _text("stream"),
    _text("scope"),
    sa.Column("version", sa.BigInteger, nullable=False),
    _text("owner"),
    sa.Column("position", sa.BigInteger, nullable=False),
    _text("state"),
    _text("run_id"),
    _text("step"),
    _text("operator", null=True),
    _text("field", null=True),
    _text("reason"),
    _text("revision"),
    sa.Column("record", sa.LargeBinary),
    sa.Column("truncated", sa.Boolean, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    _text("replay", null=True),
    sa.Column("earlier", sa.BigInteger),
    sa.Column("original", sa.LargeBinary),
    sa.Index("datahub_reject_of_replay", "pipeline", "replay", "id"),
    sa.Index("datahub_reject_of_stream", "pipeline", "stream", "scope", "state", "version"),
    sa.Index("datahub_reject_of_run", "pipeline", "run_id"),
    sqlite_autoincrement=True,
)

audit = sa.Table(
    "datahub_audit",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("at", Moment, nullable=False),
    _text("actor"),
    _text("act"),
    sa.Column("pipeline", sa.Text, nullable=False, index=True),
    _text("detail"),
    sqlite_autoincrement=True,
)


revision = sa.Table(
    "datahub_revision",
    metadata,
    sa.Column("pipeline", sa.Text, primary_key=True),
    sa.Column("revision", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, primary_key=True),
    _text("text"),
    _text("author"),
    _text("note"),
    _text("made_from", null=True),
    sa.Column("created_at", Moment, nullable=False),
)

checkpoint = sa.Table(
    "datahub_checkpoint",
    metadata,
    sa.Column("pipeline", sa.Text, primary_key=True),
    sa.Column("stream", sa.Text, primary_key=True),
    sa.Column("scope", sa.Text, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
    _text("checkpoint"),
    sa.Column("updated_at", Moment, nullable=False),
)


log = sa.Table(
    "datahub_log",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    _text("pipeline"),
    _text("run_id"),
    sa.Column("at", Moment, nullable=False, index=True),
    _text("level"),
    _text("event"),
    _text("fields"),
    sa.Index("datahub_log_of_run", "pipeline", "run_id", "id"),
    sqlite_autoincrement=True,
)


def prepare(database: Database) -> None:
    """Make the tables where they are missing and bring older ones up to date, once among any number of processes.

    A step and the version that it leads to are one transaction. Raises ConfigurationError for a store whose schema is
    newer than this package.
    """
    found = version(database)
    if (found or 0) < SCHEMA_VERSION:
        with database.alone() as connection:
            found = _version(connection)
            if (found or 0) < SCHEMA_VERSION:
                _upgrade(connection, found)
                return
    if (found or 0) > SCHEMA_VERSION:
        raise ConfigurationError(
            f"{database.name} has schema version {found}, this airflow-datahub knows up to {SCHEMA_VERSION}: "
            "upgrade airflow-datahub here to what the other machines run"
        )


def version(database: Database) -> int | None:
    """The schema version that a store has; None before its tables are made."""
    with database.reading() as connection:
        return _version(connection)


def _version(connection: sa.Connection) -> int | None:
    if not sa.inspect(connection).has_table(schema.name):
        return None
    return connection.execute(sa.select(sa.func.max(schema.c.version))).scalar()


def _upgrade(connection: sa.Connection, found: int | None) -> None:
    if found is None:
        metadata.create_all(connection)
    else:
        _keep_others_out(connection)
        for number in range(found + 1, SCHEMA_VERSION + 1):
            _STEPS[number](connection)
    connection.execute(schema.insert(), {"version": SCHEMA_VERSION})


def _keep_others_out(connection: sa.Connection) -> None:
    """All tables at once and in the order in which others read several: one by one, steps and readers would wait for
    one another."""
    if connection.dialect.name == "postgresql":
        there = [each.name for each in metadata.sorted_tables if sa.inspect(connection).has_table(each.name)]
        connection.exec_driver_sql(f"LOCK TABLE {', '.join(there)} IN ACCESS EXCLUSIVE MODE")


def _to_2(connection: sa.Connection) -> None:
    audit.create(connection, checkfirst=True)


def _to_3(connection: sa.Connection) -> None:
    revision.create(connection, checkfirst=True)


def _to_4(connection: sa.Connection) -> None:
    for name in ("mask", "dag", "task"):
        connection.exec_driver_sql(f"ALTER TABLE datahub_run ADD COLUMN {name} TEXT")


def _to_5(connection: sa.Connection) -> None:
    checkpoint.create(connection, checkfirst=True)


def _to_6(connection: sa.Connection) -> None:
    log.create(connection, checkfirst=True)


def _to_7(connection: sa.Connection) -> None:
    binary = "BYTEA" if connection.dialect.name == "postgresql" else "BLOB"
    for column in ("replay TEXT", "earlier BIGINT", f"original {binary}"):
        connection.exec_driver_sql(f"ALTER TABLE datahub_reject ADD COLUMN {column}")
    next(each for each in reject.indexes if each.name == "datahub_reject_of_replay").create(connection)


def _to_8(connection: sa.Connection) -> None:
    """Steps are counted by partition: a key of a table is changed in no other way by SQLite."""
    connection.exec_driver_sql("ALTER TABLE datahub_step RENAME TO datahub_step_before")
    step.create(connection)
    before = sa.table("datahub_step_before", *(sa.column(each.name) for each in step.columns))
    kept = [each.name for each in step.columns if each.name != "partition"]
    rows = sa.select(sa.literal(""), *(before.c[name] for name in kept))
    connection.execute(step.insert().from_select(["partition", *kept], rows))
    connection.exec_driver_sql("DROP TABLE datahub_step_before")


# Plain steps and no Alembic: new tables need none of it, and a start of a run would pay for its import.
_STEPS: Mapping[int, Callable[[sa.Connection], None]] = {
    2: _to_2, 3: _to_3, 4: _to_4, 5: _to_5, 6: _to_6, 7: _to_7, 8: _to_8,
}  # fmt: skip
