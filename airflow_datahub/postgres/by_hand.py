"""The checkpoints beside a table, for a person who looks at them or moves one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg

from airflow_datahub.contract import Checkpoint, Checkpoints, Kept, Run, Stream
from airflow_datahub.postgres import checkpoints, tables
from airflow_datahub.postgres.connecting import connect
from airflow_datahub.postgres.declared import Target
from airflow_datahub.postgres.failures import Place, failure


class TableCheckpoints(Checkpoints):
    """Needs the checkpoint's table, not that of the records; makes neither."""

    def __init__(self, target: Target, run: Run):
        """Connect. Raises ConfigurationError, RunFailed."""
        self._connection = target.connection
        self._session = connect(run.connections(target.connection))
        try:
            with self._failing("USAGE ON SCHEMA of the table"):
                self._schema = tables.schema_for(self._session, target)
        except BaseException:
            self._session.close()
            raise

    def of(self, pipeline: str) -> list[Kept]:
        with self._failing(self._rights):
            return checkpoints.found(self._session, self._schema, pipeline)

    def move(self, moves: Mapping[Stream, Checkpoint]) -> None:
        with self._failing(self._rights), self._session.transaction():
            for stream, to in moves.items():
                checkpoints.move(self._session, self._schema, stream, to, to.counters)

    def close(self) -> None:
        self._session.close()

    @property
    def _rights(self) -> str:
        return checkpoints.rights(self._schema)

    @contextmanager
    def _failing(self, rights: str) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise failure(error, Place(self._connection, self._session.info.user, rights)) from error
