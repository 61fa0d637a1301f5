"""The writer: rows and checkpoint of a batch in one transaction, while another connection copies the next batch.

A commit whose connection is lost is repeated on a new one, for the time that a restart or a failover takes. Whether a
COMMIT without an answer happened is read from the checkpoint, which moved with it or did not.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import TypeVar

import psycopg
from psycopg import sql

from airflow_datahub.contract import Batch, Checkpoint, Run, Settle, Stream, Writer, Written
from airflow_datahub.errors import Interrupted, RunFailed, StopRun
from airflow_datahub.postgres import checkpoints, connecting, stages, tables
from airflow_datahub.postgres.ahead import Ahead
from airflow_datahub.postgres.connecting import Session, connect
from airflow_datahub.postgres.declared import Target
from airflow_datahub.postgres.destination import Destination
from airflow_datahub.postgres.failures import Place, failure, of_data, retryable
from airflow_datahub.postgres.loading import STAGE, Loaded, Loader, StageLost, count
from airflow_datahub.postgres.preparing import Prepared, prepare, without_key
from airflow_datahub.postgres.rows import Lines, copy_text
from airflow_datahub.postgres.tables import Layout

T = TypeVar("T")

AWAY = 90.0
"""Seconds that a commit may take to find the database again."""
TRIES = 5
"""Of one commit, over lost connections."""
LONGEST_PAUSE = 5.0
"""Seconds between two tries to connect; the first is 0.2, each is twice the one before."""


class TableWriter(Writer):
    """Writes the batches of one stream into one table.

    `prepare` is for one thread, `commit` for another. The first batch goes by one connection, as do those that could
    not be copied ahead.
    """

    def __init__(self, target: Target, run: Run, stream: Stream):
        """Connect, find or make the checkpoint's table, and check the target. Raises ConfigurationError, RunFailed."""
        self._target, self._run, self._stream, self._log = target, run, stream, run.log
        self._connection = run.connections(target.connection)
        self._cancelled, self._idle = threading.Event(), threading.Event()
        self._idle.set()
        self._ahead: Ahead | None = None
        self._begun = self._has_temporary = False
        self._into = Destination(target, stream, run.log)
        self._session = connect(self._connection)
        self._role, self._database = self._session.info.user, self._session.info.dbname
        try:
            with self._failing("USAGE ON SCHEMA of the table"):
                self._schema = tables.schema_for(self._session, target)
                self._backend = connecting.backend(self._session)
            self._find()
            self._may_copy_ahead = self._may_make_stages()
        except BaseException:
            self._session.close()
            raise

    def resume(self) -> Checkpoint | None:
        with self._failing(self._checkpoint_rights):
            return checkpoints.read(self._session, self._schema, self._stream)

    def target(self) -> str | None:
        return self._into.name()

    def start_over(self) -> None:
        self._into.start_over()

    def opaque(self) -> Callable[[str], bool] | None:
        return self._into.layout.opaque if self._into.layout else None

    def prepare(self, batch: Batch) -> Prepared:
        """The batch as COPY text. Raises ConfigurationError for a field that no column takes."""
        layout = self._into.layout
        if layout is None:
            refused = without_key(batch, self._target)
            if len(refused) == len(batch.records):  # nothing here that a table could be planned from
                return Prepared(batch, refused=refused)
            layout = self._into.layout = tables.planned(self._target, self._schema, batch.records)
        if not batch.records:
            return Prepared(batch)
        prepared = prepare(batch, layout, self._target)
        self._into.layout = prepared.layout
        self._send_ahead(prepared)
        return prepared

    def _send_ahead(self, prepared: Prepared) -> None:
        """Have it copied, but for the first batch, which waits for nobody: a run of one batch needs one connection."""
        if not prepared.lines or not prepared.layout:
            return
        if self._begun and self._may_copy_ahead and self._into.takes(prepared.layout):
            self._ahead = self._ahead or Ahead(lambda: connect(self._connection), self._run)
            prepared.copy = self._ahead.submit(prepared.layout, prepared.slots, prepared.lines)
        self._begun = True

    def commit(self, prepared: Prepared, checkpoint: Checkpoint, settle: Settle) -> Written:
        """Rows and checkpoint, together. StopRun where another writer has moved the checkpoint."""
        self._idle.clear()
        try:
            written = self._repeated(checkpoint, partial(self._transaction, prepared, checkpoint, settle), settle)
        finally:
            self._idle.set()
            if self._ahead and prepared.copy:
                self._ahead.release(prepared.copy)
        if prepared.layout:
            self._into.keep(prepared.layout)
        return written

    def finish(self, checkpoint: Checkpoint) -> None:
        """Make the rows of a replacing run the table's. StopRun where they are too few (R15) or do not fit."""
        if self._target.strategy != "replace":
            return
        self._idle.clear()
        try:
            refused = self._repeated(checkpoint, partial(self._replacement, checkpoint), lambda _: None)
        finally:
            self._idle.set()
        self._into.start_over()
        if refused:
            raise StopRun(refused)

    def _replacement(self, checkpoint: Checkpoint, passed: list[str | None]) -> str | None:
        """The transaction that ends a replacing run; why it changed nothing."""
        with self._failing(self._table_rights), self._session.transaction():
            self._check()
            with self._failing(self._schema_rights):
                table, refused = self._into.replace(self._session)
            self._check()
            with self._failing(self._checkpoint_rights):
                to = replace(checkpoint, target=table)
                checkpoints.move(self._session, self._schema, self._stream, to, checkpoint.counters)
            passed.append(refused)
        return refused

    def _repeated(
        self, checkpoint: Checkpoint, transaction: Callable[[list[T]], T], happened: Callable[[T], object]
    ) -> T:
        """Try until it is known to be committed, or known to have failed (R9)."""
        passed: list[T] = []
        """Tries that moved the checkpoint: the last of them may be committed, though nobody said so."""
        for tries_left in reversed(range(TRIES)):
            try:
                if self._session.closed:
                    self._reconnect()
                if not passed or not self._stands(checkpoint):
                    return transaction(passed)
            except StopRun:
                if not passed or not self._stands(checkpoint):
                    raise
            except RunFailed as error:
                if not tries_left or not (self._session.closed or retryable(error.__cause__)):
                    raise
                self._log.warning("commit_repeated", reason=str(error))
                continue
            break
        self._log.info("commit_had_happened", version=checkpoint.version)
        happened(passed[-1])  # a try after it may have settled something else
        return passed[-1]

    def _transaction(
        self, prepared: Prepared, checkpoint: Checkpoint, settle: Settle, passed: list[Written]
    ) -> Written:
        stage = self._stage_of(prepared)
        had_temporary = self._has_temporary
        try:
            with self._failing(self._table_rights), self._session.transaction():
                self._check()
                self._session.execute("set constraints all immediate")  # at COMMIT they would fail by no row at all
                written = self._written(prepared, stage)
                counters = settle(written)
                self._check()
                with self._failing(self._checkpoint_rights):
                    to = replace(checkpoint, target=self._target_of(prepared) or checkpoint.target)
                    checkpoints.move(self._session, self._schema, self._stream, to, counters)
                passed.append(written)
        except BaseException:
            self._has_temporary = had_temporary
            raise
        return written

    def _stands(self, checkpoint: Checkpoint) -> bool:
        """Whether this very commit has happened; only this try of the run writes as its owner."""
        stands = self.resume()
        return stands is not None and (stands.version, stands.owner) == (checkpoint.version, checkpoint.owner)

    def _reconnect(self) -> None:
        """A new session, as soon as there can be one. RunFailed once it has taken too long."""
        if self._ahead:
            self._ahead.give_up()
        self._session = self._connected(time.monotonic() + AWAY)
        self._has_temporary = False
        with self._failing(self._table_rights):
            connecting.end_backend(self._session, self._backend)
            self._backend = connecting.backend(self._session)

    def _connected(self, deadline: float) -> Session:
        pause = 0.2
        while True:
            self._check()
            try:
                return connect(self._connection)
            except RunFailed as error:
                if time.monotonic() + pause > deadline:
                    raise RunFailed(f"the database did not come back within {AWAY:.0f} s: {error}") from error
            if self._run.stopping.wait(pause):
                raise Interrupted("stopped while the database was away; what is committed stays")
            pause = min(pause * 2, LONGEST_PAUSE)

    def cancel(self) -> None:
        self._cancelled.set()
        for _ in range(20):  # a request that finds the server between two statements is lost
            if self._idle.is_set():
                return
            if self._ahead:
                self._ahead.cancel()
            with suppress(psycopg.Error):  # the connection may be gone, then there is nothing to cancel
                self._session.cancel_safe(timeout=1)
            self._idle.wait(0.1)

    def close(self) -> None:
        made = self._ahead.close() if self._ahead else []
        with suppress(psycopg.Error):  # the next start drops them
            if made and not self._session.closed:
                stages.drop(self._session, self._schema, made)
        self._session.close()

    def _target_of(self, prepared: Prepared) -> str | None:
        """The table, which is there once a batch with a layout is written."""
        return self._into.name_of(prepared.layout) if prepared.layout else self.target()

    def _find(self) -> None:
        """Look the table up; the checkpoint's table is there afterwards."""
        with self._failing(self._table_rights):
            self._into.find(self._session)
        with self._failing(self._schema_rights):
            checkpoints.ensure(self._session, self._schema)

    def _may_make_stages(self) -> bool:
        """Whether the role may create tables beside the target; what dead writers left there is dropped."""
        with self._failing(self._schema_rights):
            found = self._session.execute("select has_schema_privilege(%s, 'CREATE')", [self._schema]).fetchone()
            if found != (True,):
                grant = f'GRANT CREATE ON SCHEMA "{self._schema}" TO "{self._role}"'
                self._log.info("one_connection", reason="the role may not create stages", faster_with=grant)
                return False
            stages.drop_abandoned(self._session, self._schema, self._log)
        return True

    def _stage_of(self, prepared: Prepared) -> sql.Identifier | None:
        """Where the rows were copied to; waits for a COPY that is under way."""
        if not prepared.copy or not self._ahead:
            return None
        while not prepared.copy.done.wait(0.1):
            self._check()
        return self._ahead.stage_of(prepared.copy)

    def _written(self, prepared: Prepared, stage: sql.Identifier | None) -> Written:
        total, prepared = Written(), replace(prepared, folded=dict(prepared.folded))  # a repeat begins with all of it
        lines, refused = prepared.lines, prepared.refused
        loader = self._loader(prepared.layout) if prepared.layout else None
        while True:
            if loader and lines:
                loaded = self._loaded(loader, prepared, lines, stage)
                total.inserted, total.updated = total.inserted + loaded.inserted, total.updated + loaded.updated
                total.deleted += loaded.deleted
                prepared.fold(loaded.folded)
                refused = [*refused, *loaded.refused, *prepared.absent(loaded.absent)]
            total.refused += refused
            spares = prepared.spares(refused)
            if not spares:
                break
            lines, refused, stage = *copy_text(prepared.batch, spares, prepared.slots), None
        total.refused.sort(key=lambda refusal: refusal.index)
        total.merged = sum(map(len, prepared.folded.values()))
        total.unchanged = len(prepared.batch.records) - total.total
        return total

    def _loaded(self, loader: Loader, prepared: Prepared, lines: Lines, stage: sql.Identifier | None) -> Loaded:
        """From the stage where that can be, else from the lines."""
        suspect = prepared.copy is not None and prepared.copy.suspect and lines is prepared.lines
        if stage:
            try:
                return loader.move(prepared.slots, stage, count(lines))
            except StageLost as lost:
                self._log.warning("stage_lost", reason=str(lost), does="copies the batch again")
            except psycopg.Error as error:
                if not of_data(error):
                    raise
                suspect = True
        if not self._has_temporary:
            with self._failing(f'TEMPORARY ON DATABASE "{self._database}"'):
                loader.stage()
            self._has_temporary = True
        return loader.load(prepared.slots, lines, suspect=suspect)

    def _loader(self, layout: Layout) -> Loader:
        """A loader with what is written to in place."""
        takes = self._into.takes(layout)
        with self._failing(self._schema_rights):
            written = self._into.make(self._session, layout)
        if not takes and self._has_temporary:
            self._session.execute(f"drop table pg_temp.{STAGE}".encode())
            self._has_temporary = False
        return Loader(self._session, written, self._target, self._check)

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
