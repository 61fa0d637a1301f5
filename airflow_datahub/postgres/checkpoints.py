"""`_datahub_checkpoint`: where each stream stands, in the schema of its table, fenced by `version`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from psycopg import sql
from psycopg.types.json import Jsonb

from airflow_datahub.contract import CHECKPOINT_FORMAT, Checkpoint, Kept, Stream
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
_COLUMNS = (
    "pipeline", "stream", "scope", "version", "owner", "cursor", "mark", "fingerprint", "format", "counters",
    "updated_at",
)  # fmt: skip
_READ = "select {columns}, extract(epoch from now() - updated_at)::float8 from {table} where "
_THERE = """
select attname from pg_attribute join pg_class c on c.oid = attrelid join pg_namespace n on n.oid = relnamespace
where nspname = %s and relname = %s and relkind in ('r', 'p') and attnum > 0 and not attisdropped"""
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


def rights(schema: str) -> str:
    """What a GRANT must give to a role that works with the table."""
    return f'SELECT, INSERT, UPDATE ON "{schema}"."{TABLE}"'


def read(session: Session, schema: str, stream: Stream) -> Checkpoint | None:
    """The stream's checkpoint. ConfigurationError where none can go on from it: damaged, or of a newer version."""
    where = "pipeline = %s and stream = %s and scope = %s"
    for kept in _read(session, schema, where, [stream.pipeline, stream.stream, stream.scope]):
        if kept.damage:
            raise ConfigurationError(
                f"the checkpoint of {stream.pipeline!r}, {stream.stream!r} in {schema}.{TABLE} cannot be used: "
                f"{kept.damage}. `airflow-datahub checkpoint set SPEC --cursor …` goes on from a position that you "
                f"know, `airflow-datahub checkpoint reset SPEC` starts over"
            )
        return kept.checkpoint
    return None


def found(session: Session, schema: str, pipeline: str) -> list[Kept]:
    """All checkpoints of a pipeline, by stream and scope; none where the table is not there."""
    if not _exists(session, schema):
        return []
    return _read(session, schema, "pipeline = %s order by stream, scope", [pipeline])


def _read(session: Session, schema: str, where: str, values: list[str]) -> list[Kept]:
    cursor = session.execute(_statement(_READ + where, schema), values)
    return [_kept(schema, dict(zip((*_COLUMNS, "age"), row, strict=True))) for row in cursor.fetchall()]


def _kept(schema: str, row: dict[str, Any]) -> Kept:
    """A row, checked: a person may have been at it."""
    stream = Stream(*(row.pop(name) for name in ("pipeline", "stream", "scope")))
    version, updated_at = row["version"], row.pop("updated_at")
    if not isinstance(version, int) or version < 1:
        raise ConfigurationError(
            f"{schema}.{TABLE} was changed: for pipeline {stream.pipeline!r}, {stream.stream!r} it holds version "
            f"{version!r}, where a number from 1 on belongs; put it right, or delete the row, which starts over"
        )
    if isinstance(row["format"], int) and row["format"] > CHECKPOINT_FORMAT:
        damage = f"format {row['format']} is of a newer airflow-datahub, this one knows {CHECKPOINT_FORMAT}: upgrade it"
        return Kept(stream, version, updated_at, None, damage)
    try:
        return Kept(stream, version, updated_at, msgspec.convert(row, _Row).checkpoint())
    except msgspec.ValidationError as error:
        return Kept(stream, version, updated_at, None, f"it is damaged ({error})")


class _Position(msgspec.Struct, forbid_unknown_fields=True):
    """What the column `cursor` holds."""

    at: Any
    skip: Annotated[int, msgspec.Meta(ge=0)]
    last: tuple[str, ...]
    target: str | None


class _Row(msgspec.Struct):
    """What a row holds beside its key."""

    version: int
    owner: str
    cursor: _Position
    mark: Any
    fingerprint: str
    format: Annotated[int, msgspec.Meta(ge=1)]
    counters: dict[str, Any]
    age: float

    def checkpoint(self) -> Checkpoint:
        """In the words of the contract."""
        at = self.cursor
        return Checkpoint(
            self.version, self.owner, at.at, at.skip, self.fingerprint, self.counters, self.mark, self.format, at.last,
            at.target, self.age,
        )  # fmt: skip


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
    """Whether the table is there. ConfigurationError where it is, and lacks columns."""
    there = {name for (name,) in session.execute(_THERE, [schema, TABLE]).fetchall()}
    if missing := [name for name in _COLUMNS if name not in there]:
        if there:
            raise ConfigurationError(
                f"{schema}.{TABLE} was changed: it lacks {', '.join(missing)}; put it back from a backup, or drop the "
                f"table, which starts over"
            )
        return False
    return True


def _statement(text: str, schema: str) -> sql.Composed:
    columns = sql.SQL(", ").join(map(sql.Identifier, _COLUMNS))
    return sql.SQL(text).format(table=sql.Identifier(schema, TABLE), columns=columns)


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
