"""Copies batches into stages ahead of their commits, on a connection and a thread of its own.

It is a short cut and decides nothing: what it could not copy, for whatever reason, the commit copies by itself.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from airflow_datahub.contract import Run
from airflow_datahub.errors import RunError
from airflow_datahub.postgres.connecting import Session
from airflow_datahub.postgres.failures import of_data, said
from airflow_datahub.postgres.rows import Lines, Slot
from airflow_datahub.postgres.stages import Stages, drop_abandoned
from airflow_datahub.postgres.tables import Layout

PAUSE = 5.0
"""Seconds in which it does without a connection that could not be had."""
END_WITHIN = 1.0
"""Seconds that its end may take; a COPY under way is cancelled."""


@dataclass(eq=False, slots=True)
class Copy:
    """The rows of one batch on their way into a stage."""

    layout: Layout
    slots: tuple[Slot, ...]
    lines: Lines
    """Until it is done."""
    done: threading.Event = field(default_factory=threading.Event)
    """Set once it is in the stage, or will never be."""
    stages: Stages | None = None
    name: str = ""
    suspect: bool = False
    """PostgreSQL refuses some of the rows."""


class Ahead:
    """One thread that copies, in the order in which it is asked to."""

    def __init__(self, connect: Callable[[], Session], run: Run):
        self._connect, self._run, self._log = connect, run, run.log
        self._jobs: queue.SimpleQueue[Copy | None] = queue.SimpleQueue()
        self._session: Session | None = None
        self._valid: Stages | None = None
        self._made: list[str] = []
        self._closing = False
        self._not_before = 0.0
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def submit(self, layout: Layout, slots: tuple[Slot, ...], lines: Lines) -> Copy:
        """Have these rows copied."""
        copy = Copy(layout, slots, lines)
        self._jobs.put(copy)
        return copy

    def stage_of(self, copy: Copy) -> sql.Identifier | None:
        """Where the rows are; None where they are in no stage, or in one that was given up since."""
        stages = copy.stages
        return stages.table(copy.name) if stages and stages is self._valid else None

    def release(self, copy: Copy) -> None:
        """Its batch is committed."""
        if copy.stages:
            copy.stages.give_back(copy.name)

    def give_up(self) -> None:
        """After a lost connection nothing that was copied counts any more: PostgreSQL empties stages in a crash."""
        self._valid = None

    def cancel(self) -> None:
        """End the COPY under way, from any thread."""
        session = self._session
        if session:
            with suppress(psycopg.Error):
                session.cancel_safe(timeout=1)

    def close(self) -> list[str]:
        """End the thread and its connection; the names of the stages to be dropped."""
        self._closing = True
        self._jobs.put(None)
        deadline = time.monotonic() + END_WITHIN
        self._thread.join(0.5)
        while self._thread.is_alive() and time.monotonic() < deadline:
            self.cancel()
            self._thread.join(0.2)
        return self._made

    def _work(self) -> None:
        for copy in iter(self._jobs.get, None):
            try:
                if not self._closing:
                    self._copy(copy)
            except (psycopg.Error, RunError) as error:
                self._failed(copy, error)
            finally:
                copy.lines = []
                copy.done.set()
        self._disconnect()

    def _copy(self, copy: Copy) -> None:
        stages = self._stages_for(copy)
        name = stages.take() if stages else None
        if stages and name:
            try:
                stages.fill(name, copy.slots, copy.lines)
                copy.stages, copy.name = stages, name
            except psycopg.Error:
                stages.give_back(name)
                raise

    def _failed(self, copy: Copy, error: Exception) -> None:
        copy.suspect = isinstance(error, psycopg.Error) and of_data(error)
        if copy.suspect or self._closing:
            return
        reason = said(error) if isinstance(error, psycopg.Error) else str(error)
        self._log.warning("not_copied_ahead", reason=reason)
        self._not_before = time.monotonic() + PAUSE
        self._disconnect()

    def _stages_for(self, copy: Copy) -> Stages | None:
        """The stages, made anew after a loss and where the batch has columns that they have not."""
        stages = self._valid
        if stages and stages.columns.issuperset(copy.slots):
            return stages
        if time.monotonic() < self._not_before:
            return None
        self._disconnect()
        self._session = self._connect()
        if self._made:  # of sessions that were lost
            drop_abandoned(self._session, copy.layout.schema, self._log)
        made = Stages(self._session, copy.layout, self._run)
        self._made += made.names
        self._valid = made
        return made

    def _disconnect(self) -> None:
        self._valid = None
        if self._session:
            self._session.close()
            self._session = None
