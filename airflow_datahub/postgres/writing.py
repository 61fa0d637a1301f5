"""The writer: rows and checkpoint of a batch in one transaction on one connection."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import psycopg

from airflow_datahub.contract import Batch, Checkpoint, Run, Settle, Stream, Writer, Written
from airflow_datahub.errors import Interrupted, RunFailed
from airflow_datahub.postgres import checkpoints, tables
from airflow_datahub.postgres.connecting import connect
from airflow_datahub.postgres.declared import Target
from airflow_datahub.postgres.failures import Place, failure
from airflow_datahub.postgres.loading import Loader
from airflow_datahub.postgres.preparing import Prepared, prepare, without_key
from airflow_datahub.postgres.rows import copy_text
from airflow_datahub.postgres.tables import Layout


class TableWriter(Writer):
    """Writes the batches of one stream into one table."""

    def __init__(self, target: Target, run: Run, stream: Stream):
        """Connect, find or make the checkpoint's table, and check the target. Raises ConfigurationError, RunFailed."""
        self._target, self._stream, self._log = target, stream, run.log
        self._cancelled, self._idle = threading.Event(), threading.Event()
        self._idle.set()
        self._staged = False
        self._session = connect(run.connections(target.connection))
        self._role, self._database = self._session.info.user, self._session.info.dbname
        try:
            with self._failing("USAGE ON SCHEMA of the table"):
                self._schema = tables.schema_for(self._session, target)
            self._layout = self._ready()
        except BaseException:
            self._session.close()
            raise

    def resume(self) -> Checkpoint | None:
        with self._failing(self._checkpoint_rights):
            return checkpoints.read(self._session, self._schema, self._stream)

    def target(self) -> str | None:
        layout = self._layout
        return f"{layout.schema}.{layout.table}" if layout and (self._staged or not layout.missing) else None

    def opaque(self) -> Callable[[str], bool] | None:
        return self._layout.opaque if self._layout else None

    def prepare(self, batch: Batch) -> Prepared:
        """The batch as COPY text. Raises ConfigurationError for a field that no column takes."""
        if self._layout is None:
            refused = without_key(batch, self._target)
            if len(refused) == len(batch.records):  # nothing here that a table could be planned from
                return Prepared(batch, refused=refused)
            self._layout = tables.planned(self._target, self._schema, batch.records)
        if not batch.records:
            return Prepared(batch)
        return prepare(batch, self._layout, last_wins=self._target.strategy == "upsert")

    def commit(self, prepared: Prepared, checkpoint: Checkpoint, settle: Settle) -> Written:
        """Rows and checkpoint, together. StopRun where another writer has moved the checkpoint."""
        self._idle.clear()
        try:
            with self._failing(self._table_rights), self._session.transaction():
                self._check()
                self._session.execute("set constraints all immediate")  # at COMMIT they would fail by no row at all
                written = self._written(prepared)
                counters = settle(written)
                self._check()
                with self._failing(self._checkpoint_rights):
                    to = replace(checkpoint, target=self._target_of(prepared) or checkpoint.target)
                    checkpoints.move(self._session, self._schema, self._stream, to, counters)
        finally:
            self._idle.set()
        self._staged = self._staged or prepared.layout is not None
        return written

    def cancel(self) -> None:
        self._cancelled.set()
        for _ in range(20):  # a request that finds the server between two statements is lost
            if self._idle.is_set():
                return
            with suppress(psycopg.Error):  # the connection may be gone, then there is nothing to cancel
                self._session.cancel_safe(timeout=1)
            self._idle.wait(0.1)

    def close(self) -> None:
        self._session.close()

    def _target_of(self, prepared: Prepared) -> str | None:
        """The table, which is there once a batch with a layout is written."""
        layout = prepared.layout
        return f"{layout.schema}.{layout.table}" if layout else self.target()

    def _ready(self) -> Layout | None:
        """The table, or None where the first batch is to make it; the checkpoint's table is there afterwards."""
        with self._failing(self._table_rights):
            layout = tables.existing(self._session, self._target)
            if layout is None and not self._target.create:
                raise tables.missing(self._session, self._target)
        with self._failing(self._schema_rights):
            checkpoints.ensure(self._session, self._schema)
        return layout

    def _written(self, prepared: Prepared) -> Written:
        total, merged = Written(), 0
        lines, refused = prepared.lines, prepared.refused
        loader = self._loader(prepared.layout) if prepared.layout else None
        while True:
            if loader and lines:
                loaded = loader.load(prepared.slots, lines)
                total.inserted, total.updated = total.inserted + loaded.inserted, total.updated + loaded.updated
                refused, merged = [*refused, *loaded.refused], merged + loaded.merged
            total.refused += refused
            spares = prepared.spares(refused)
            if not spares:
                break
            lines, refused = copy_text(prepared.batch, spares, prepared.slots)
        total.refused.sort(key=lambda refusal: refusal.index)
        total.merged = merged + sum(map(len, prepared.folded.values()))
        total.unchanged = len(prepared.batch.records) - total.total
        return total

    def _loader(self, layout: Layout) -> Loader:
        """A loader with the target and its stage in place."""
        loader = Loader(self._session, layout, self._target.strategy, self._check)
        if not self._staged:
            if layout.missing:
                self._create(layout)
            with self._failing(f'TEMPORARY ON DATABASE "{self._database}"'):
                loader.stage()
        return loader

    def _create(self, layout: Layout) -> None:
        """Create the table, unless somebody did meanwhile: then it must be what this writer has planned with."""
        with self._failing(self._schema_rights):
            self._session.execute("select pg_advisory_xact_lock(%s)", [checkpoints.CREATION_LOCK])
            found = tables.existing(self._session, self._target)
            if found is None:
                tables.create(self._session, layout)
                self._log.info("table_created", table=f"{layout.schema}.{layout.table}", columns=len(layout.missing))
            elif not set(layout.slots) <= set(found.slots):
                raise RunFailed(
                    f"table {layout.schema}.{layout.table} was created by someone else meanwhile; try again"
                )

    def _check(self) -> None:
        if self._cancelled.is_set():
            raise Interrupted("the write was cancelled; its batch is undone")

    @contextmanager
    def _failing(self, rights: str) -> Iterator[None]:
        """Errors of PostgreSQL leave as ours; `rights` is what a GRANT would have to give."""
        try:
            yield
        except psycopg.Error as error:
            if self._cancelled.is_set():
                raise Interrupted("the write was cancelled; its batch is undone") from error
            raise failure(error, Place(self._target.connection, self._role, rights)) from error

    @property
    def _table_rights(self) -> str:
        return tables.rights(self._target, self._schema)

    @property
    def _schema_rights(self) -> str:
        return f'USAGE, CREATE ON SCHEMA "{self._schema}"'

    @property
    def _checkpoint_rights(self) -> str:
        return f'SELECT, INSERT, UPDATE ON "{self._schema}"."{checkpoints.TABLE}"'
