"""Positions of sources whose sinks have no transaction of their own, or that several tasks work on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

import sqlalchemy as sa

from airflow_datahub.contract import Checkpoint, Checkpoints, Kept, Stream
from airflow_datahub.errors import StopRun
from airflow_datahub.state.database import Database
from airflow_datahub.state.tables import checkpoint as table


class Positions(Checkpoints):
    """The checkpoints in a store. Each method is one transaction and raises what those of Store do."""

    def __init__(self, database: Database):
        self._database = database

    def get(self, stream: Stream) -> Checkpoint | None:
        """Where a stream stands."""
        found = self._read(*_is(stream))
        return found[0].checkpoint if found else None

    def of(self, pipeline: str) -> list[Kept]:
        """The checkpoints of a pipeline, by stream and scope."""
        return self._read(table.c.pipeline == pipeline)

    def move(self, moves: Mapping[Stream, Checkpoint]) -> None:
        """Write them all or none, each where its `version - 1` stands (nothing, for version 1); StopRun otherwise."""
        with self._database.writing() as connection:
            for stream, to in moves.items():
                if not self._moved(connection, stream, to):
                    raise StopRun(
                        f"another run moved the position of {stream.pipeline!r}: version {to.version - 1} was expected"
                    )

    def _moved(self, connection: sa.Connection, stream: Stream, to: Checkpoint) -> bool:
        values = {"version": to.version, "checkpoint": json.dumps(asdict(to)), "updated_at": datetime.now(UTC)}
        if to.version > 1:
            change = table.update().where(*_is(stream), table.c.version == to.version - 1)
            return bool(connection.execute(change.values(values)).rowcount)
        dialect = import_module(f"sqlalchemy.dialects.{self._database.engine.dialect.name}")
        first = dialect.insert(table).on_conflict_do_nothing()
        return bool(connection.execute(first, {**asdict(stream), **values}).rowcount)

    def _read(self, *wanted: sa.ColumnElement[bool]) -> list[Kept]:
        query = sa.select(table).where(*wanted).order_by(table.c.stream, table.c.scope)
        with self._database.reading() as connection:
            return [_kept(dict(row)) for row in connection.execute(query).mappings()]


def _kept(row: dict[str, Any]) -> Kept:
    words = json.loads(row["checkpoint"])
    found = Checkpoint(**{**words, "last": tuple(words["last"])})
    return Kept(Stream(row["pipeline"], row["stream"], row["scope"]), row["version"], row["updated_at"], found)


def _is(stream: Stream) -> list[sa.ColumnElement[bool]]:
    return [table.c[name] == value for name, value in asdict(stream).items()]
