"""The writer: rows and checkpoint of a batch in one transaction, while another connection copies the next batch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import psycopg
from psycopg import sql

from airflow_datahub.contract import (
    Batch,
    Checkpoint,
    Opaque,
    Record,
    Run,
    Settle,
    Simulated,
    Stream,
    Writer,
    Written,
)
from airflow_datahub.errors import StopRun
from airflow_datahub.postgres import checkpoints, inbox, link, stages, tables
from airflow_datahub.postgres.ahead import Ahead
from airflow_datahub.postgres.connecting import connect
from airflow_datahub.postgres.declared import Target
from airflow_datahub.postgres.destination import Destination
from airflow_datahub.postgres.failures import of_data
from airflow_datahub.postgres.fitting import left
from airflow_datahub.postgres.link import Link
from airflow_datahub.postgres.loading import STAGE, Loaded, Loader, StageLost
from airflow_datahub.postgres.preparing import Prepared, prepare, without_key
from airflow_datahub.postgres.rows import Lines, copy_text
from airflow_datahub.postgres.tables import Layout

SWAP_WITHIN = 5 * 3600.0
"""Seconds that the end of a replacing load may take; its statements have limits of their own."""
TRIAL_LOCK = "2s"
"""How long a trial waits for a lock: whoever holds it does real work."""


class TableWriter(Writer):
    """Writes the batches of one stream into one table.

    `prepare` is for one thread, `commit` for another. The first batch goes by one connection, as do those that could
    not be copied ahead.
    """

    def __init__(self, target: Target, run: Run, stream: Stream, *, trial: bool = False):
        """Connect, find or make the checkpoint's table, and check the target. Raises ConfigurationError, RunFailed.

        `trial`: nothing is made, and `simulate` is all that may be called."""
        self._target, self._run, self._stream, self._log = target, run, stream, run.log
        self._trial = trial
        self._connection = run.connections(target.connection)
        self._ahead: Ahead | None = None
        self._begun = self._has_temporary = False
        self._into = Destination(target, stream, run.log)
        self._link = Link(self._connection, run)
        try:
            self._may_copy_ahead, _ = self._link.repeated(lambda passed: self._started(), lambda: False, self._lost)
        except BaseException:
            self._link.close()
            raise

    def _started(self) -> bool:
        """Find schema and table, make the checkpoint's; whether stages may be made. May be done again."""
        with self._link.failing("USAGE ON SCHEMA of the table"):
            self._schema = tables.schema_for(self._link.session, self._target)
        self._find()
        return not self._trial and self._may_make_stages()

    def resume(self) -> Checkpoint | None:
        with self._link.failing(self._checkpoint_rights):
            checkpoint = checkpoints.read(self._link.session, self._schema, self._stream)
        if checkpoint and self._into.layout is None:  # its writer may have made the table since we looked
            self._find()
        return checkpoint

    def target(self) -> str | None:
        return self._into.name()

    def start_over(self) -> None:
        self._into.start_over()

    def settled(self, records: Sequence[Record]) -> bool:
        if self._target.evolution == "evolve":  # columns to come get their types from the batch that brings them
            return False
        return self._into.layout is not None or tables.is_declared(self._target, records)

    def opaque(self) -> Opaque:
        return self._into.layout.opaque if self._into.layout else self._target.opaque

    def prepare(self, batch: Batch) -> Prepared:
        """The batch as COPY text. Raises ConfigurationError for a field that no column takes."""
        layout = self._into.layout
        if layout is None:
            refused = without_key(batch, self._target)
            if len(refused) == len(batch.records):  # nothing here that a table could be planned from
                return Prepared(batch, refused=refused)
            layout = self._into.layout = tables.planned(self._target, self._schema, left(batch, refused))
        if not batch.records:
            return Prepared(batch)
        prepared = prepare(batch, layout, self._target)
        self._into.layout = prepared.layout
        self._send_ahead(prepared)
        return prepared

    def _send_ahead(self, prepared: Prepared) -> None:
        """Have it copied, but for the first batch, which waits for nobody: a run of one batch needs one connection."""
        if not prepared.count or not prepared.layout:
            return
        if self._begun and self._may_copy_ahead and (prepared.layout.planned or self._into.takes(prepared.layout)):
            self._ahead = self._ahead or Ahead(lambda: connect(self._connection), self._run)
            prepared.copy = self._ahead.submit(prepared.layout, prepared.slots, prepared.handed_over())
        self._begun = True

    def commit(self, prepared: Prepared, checkpoint: Checkpoint, settle: Settle) -> Written:
        """Rows and checkpoint, together. StopRun where another writer has moved the checkpoint."""
        try:
            with self._link.busy():
                written, unheard = self._link.repeated(
                    lambda passed: self._transaction(prepared, checkpoint, settle, passed),
                    lambda: self._stands(checkpoint),
                    self._lost,
                )
        finally:
            if self._ahead and prepared.copy:
                self._ahead.release(prepared.copy)
        if unheard:
            settle(written)  # a try after it may have settled something else
        if prepared.layout:
            self._into.keep(prepared.layout)
        return written

    def simulate(self, batch: Batch) -> Simulated:
        """What a commit of this batch would do: it is done, and undone by the end of its transaction.

        Columns are not added even so, because that would make every reader of the table wait."""
        prepared = self.prepare(batch)
        notes = self._into.told(prepared.layout) if prepared.layout else []
        if prepared.layout and not prepared.layout.missing and not self._into.takes(prepared.layout):
            return Simulated(None, notes)
        with self._link.failing(self._table_rights), self._link.transaction():
            self._link.session.execute(
                f"set local lock_timeout = '{TRIAL_LOCK}'; set constraints all immediate".encode()
            )
            written = self._written(prepared, None)
            raise psycopg.Rollback
        return Simulated(written, notes)

    def finish(self, checkpoint: Checkpoint) -> None:
        """Make the rows of a replacing run the table's. StopRun where they are too few (R15) or do not fit."""
        if self._target.strategy != "replace":
            return
        with self._link.busy():
            refused, _ = self._link.repeated(
                lambda passed: self._replaced(checkpoint, passed), lambda: self._stands(checkpoint), self._lost
            )
        self._into.start_over()
        if refused:
            raise StopRun(refused)

    def _transaction(
        self, prepared: Prepared, checkpoint: Checkpoint, settle: Settle, passed: list[Written]
    ) -> Written:
        stage = self._stage_of(prepared)
        had_temporary = self._has_temporary
        try:
            with self._link.failing(self._table_rights), self._link.transaction():
                self._link.check()
                self._link.session.execute(
                    "set constraints all immediate"
                )  # at COMMIT they would fail by no row at all
                written = self._written_once(prepared, stage)
                counters = settle(written)
                self._link.check()
                target = self._into.name_of(prepared.layout) if prepared.layout else self.target()
                self._move(replace(checkpoint, target=target or checkpoint.target, counters=counters))
                passed.append(written)
        except BaseException:
            self._has_temporary = had_temporary
            raise
        return written

    def _replaced(self, checkpoint: Checkpoint, passed: list[str | None]) -> str | None:
        """Why the rows of a replacing run did not become the table's; None where they did."""
        with self._link.failing(self._table_rights), self._link.transaction(SWAP_WITHIN):
            self._link.check()
            with self._link.failing(self._schema_rights):
                table, refused = self._into.replace(self._link.session)
            self._link.check()
            self._move(replace(checkpoint, target=table))
            passed.append(refused)
        return refused

    def _move(self, to: Checkpoint) -> None:
        with self._link.failing(self._checkpoint_rights):
            checkpoints.move(self._link.session, self._schema, self._stream, to, to.counters)

    def _stands(self, checkpoint: Checkpoint) -> bool:
        """Whether this very commit has happened; only this try of the run writes as its owner."""
        stands = self.resume()
        return stands is not None and (stands.version, stands.owner) == (checkpoint.version, checkpoint.owner)

    def _lost(self) -> None:
        """What was there with the session is gone."""
        self._has_temporary = False
        if self._ahead:
            self._ahead.give_up()

    def cancel(self) -> None:
        self._link.cancel(lambda: self._ahead.cancel() if self._ahead else None)

    def close(self) -> None:
        made = self._ahead.close() if self._ahead else []
        with suppress(psycopg.Error):  # the next start drops them
            if made and not self._link.session.closed:
                stages.drop(self._link.session, self._schema, made)
        self._link.close()

    def _find(self) -> None:
        """Look the table up; the checkpoint's table is there afterwards."""
        with self._link.failing(self._table_rights):
            self._into.find(self._link.session)
        if not self._trial:
            with self._link.failing(self._schema_rights):
                checkpoints.ensure(self._link.session, self._schema)
                if self._run.trigger == "replay":
                    inbox.ensure(self._link.session, self._schema)

    def _may_make_stages(self) -> bool:
        """Whether the role may create tables beside the target; what dead writers left there is dropped."""
        with self._link.failing(self._schema_rights):
            found = self._link.session.execute("select has_schema_privilege(%s, 'CREATE')", [self._schema]).fetchone()
            if found != (True,):
                grant = f'GRANT CREATE ON SCHEMA "{self._schema}" TO "{self._link.role}"'
                self._log.info("one_connection", reason="the role may not create stages", faster_with=grant)
                return False
            stages.drop_abandoned(self._link.session, self._schema, self._log)
        return True

    def _stage_of(self, prepared: Prepared) -> sql.Identifier | None:
        """Where the rows were copied to; waits for a COPY that is under way."""
        if not prepared.copy or not self._ahead:
            return None
        deadline = time.monotonic() + link.SILENT
        while not prepared.copy.done.wait(0.1):
            self._link.check()
            if time.monotonic() > deadline:  # its server is silent: its thread may wait for ever
                self._log.warning("not_copied_ahead", reason="the server does not answer", does="without")
                self._ahead, self._may_copy_ahead = None, False
                return None
        return self._ahead.stage_of(prepared.copy)

    def _written_once(self, prepared: Prepared, stage: sql.Identifier | None) -> Written:
        """Without what the inbox has already, where the records have names."""
        names = prepared.batch.ids
        if names is None:
            return self._written(prepared, stage)
        new = inbox.new_ones(self._link.session, self._schema, names)
        if len(new) == len(names) or not prepared.layout:
            return self._written(prepared, stage)
        part = prepare(inbox.chosen(prepared.batch, new), prepared.layout, self._target)
        return inbox.of_all(self._written(part, None), new, len(names))

    def _written(self, prepared: Prepared, stage: sql.Identifier | None) -> Written:
        total, prepared = Written(), replace(prepared, folded=dict(prepared.folded))  # a repeat begins with all of it
        lines: Lines | None = None if prepared.count else []
        refused = prepared.refused
        loader = self._loader(prepared.layout) if prepared.layout else None
        while True:
            if loader and lines != []:
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

    def _loaded(self, loader: Loader, prepared: Prepared, lines: Lines | None, stage: sql.Identifier | None) -> Loaded:
        """From the stage where that can be, else from the lines; None: those of the whole batch."""
        suspect = lines is None and prepared.copy is not None and prepared.copy.suspect
        if stage:
            try:
                return loader.move(prepared.slots, stage, prepared.count)
            except StageLost as lost:
                self._log.warning("stage_lost", reason=str(lost), does="copies the batch again")
            except psycopg.Error as error:
                if not of_data(error):
                    raise
                suspect = True
        if not self._has_temporary:
            with self._link.failing(f'TEMPORARY ON DATABASE "{self._link.database}"'):
                loader.stage()
            self._has_temporary = True
        elif lines is not None:
            loader.empty()
        return loader.load(prepared.slots, prepared.encoded() if lines is None else lines, suspect=suspect)

    def _loader(self, layout: Layout) -> Loader:
        """A loader with what is written to in place."""
        takes = self._into.takes(layout)
        with self._link.failing(self._schema_rights):
            written = self._into.make(self._link.session, layout)
        if not takes and self._has_temporary:
            self._link.session.execute(f"drop table pg_temp.{STAGE}".encode())
            self._has_temporary = False
        return Loader(self._link.session, written, self._target, self._link.check)

    @property
    def _table_rights(self) -> str:
        return tables.rights(self._target, self._schema)

    @property
    def _schema_rights(self) -> str:
        return f'USAGE, CREATE ON SCHEMA "{self._schema}"'

    @property
    def _checkpoint_rights(self) -> str:
        return f'SELECT, INSERT, UPDATE ON "{self._schema}"."{checkpoints.TABLE}"'
