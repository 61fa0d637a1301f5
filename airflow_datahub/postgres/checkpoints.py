"""`_datahub_checkpoint`: where each stream stands, in the schema of its table, fenced by `version`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from airflow_datahub.contract import CHECKPOINT_FORMAT, Checkpoint, Stream
from airflow_datahub.errors import ConfigurationError, StopRun
from airflow_datahub.postgres.connecting import Session

TABLE = "_datahub_checkpoint"

CREATION_LOCK = 0x64617461687562
"""The advisory lock under which this package creates tables ("datahub")."""

_CREATE = """
create table if not exists {table} (
  pipeline text, stream text, scope text,
  version bigint not null, owner text not null, cursor jsonb not null, mark jsonb, fingerprint text not null,
  format integer not null, counters jsonb not null, updated_at timestamptz not null default now(),
  primary key (pipeline, stream, scope))"""
_READ = """
select version, owner, cursor, mark, fingerprint, format, counters
from {table} where pipeline = %s and stream = %s and scope = %s"""
_FIRST = """
insert into {table} (version, owner, cursor, mark, fingerprint, format, counters, pipeline, stream, scope)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing"""
_MOVE = """
update {table} set version = %s, owner = %s, cursor = %s, mark = %s, fingerprint = %s, format = %s, counters = %s,
  updated_at = now()
where pipeline = %s and stream = %s and scope = %s and version = %s"""


def ensure(session: Session, schema: str) -> None:
    """Create the table unless it is there; safe beside others who do the same."""
    if _exists(session, schema):
        return
    with session.transaction():
        session.execute("select pg_advisory_xact_lock(%s)", [CREATION_LOCK])
        session.execute(_statement(_CREATE, schema))


def read(session: Session, schema: str, stream: Stream) -> Checkpoint | None:
    """The stream's checkpoint. ConfigurationError where a newer version of this package wrote it."""
    row = session.execute(_statement(_READ, schema), [stream.pipeline, stream.stream, stream.scope]).fetchone()
    if row is None:
        return None
    version, owner, cursor, mark, fingerprint, form, counters = row
    if form > CHECKPOINT_FORMAT:
        raise ConfigurationError(
            f"the checkpoint of {stream.pipeline!r}, {stream.stream!r} in {schema}.{TABLE} has format {form}, this "
            f"version knows {CHECKPOINT_FORMAT} at most: a newer airflow-datahub wrote it; upgrade this one"
        )
    last, target = tuple(cursor["last"]), cursor["target"]
    return Checkpoint(version, owner, cursor["at"], cursor["skip"], fingerprint, counters, mark, form, last, target)


def move(session: Session, schema: str, stream: Stream, to: Checkpoint, counters: Mapping[str, Any]) -> None:
    """Write the checkpoint where its predecessor stands, in the transaction under way; StopRun where it does not."""
    position = Jsonb({"at": to.cursor, "skip": to.skip, "last": list(to.last), "target": to.target}, _dumps)
    mark = None if to.mark is None else Jsonb(to.mark, _dumps)
    values = [to.version, to.owner, position, mark, to.fingerprint, to.format, Jsonb(dict(counters), _dumps)]
    where: list[Any] = [stream.pipeline, stream.stream, stream.scope]
    first = to.version == 1
    moved = session.execute(
        _statement(_FIRST if first else _MOVE, schema), values + where + ([] if first else [to.version - 1])
    )
    if moved.rowcount != 1:
        raise StopRun(
            f"another writer moved the checkpoint of {stream.pipeline!r}, {stream.stream!r}: version "
            f"{to.version - 1} was expected; this try ends, its last batch is undone; what the other committed stays"
        )


def _exists(session: Session, schema: str) -> bool:
    found = session.execute("select 1 from pg_tables where schemaname = %s and tablename = %s", [schema, TABLE])
    return found.fetchone() is not None


def _statement(text: str, schema: str) -> sql.Composed:
    return sql.SQL(text).format(table=sql.Identifier(schema, TABLE))


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
