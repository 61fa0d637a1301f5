"""A session that is opened again when it is lost, and transactions that are begun again on it.

A lost connection is looked for as long as a restart or a failover takes. Whether a COMMIT without an answer happened is
read from what moved with it or did not (R9).
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import psycopg

from airflow_datahub.contract import Connection, Run
from airflow_datahub.errors import Interrupted, RunFailed, StopRun
from airflow_datahub.postgres import connecting
from airflow_datahub.postgres.connecting import Session, connect
from airflow_datahub.postgres.failures import Place, failure, retryable, unusable

AWAY = 90.0
"""Seconds in which a lost database must be found again."""
TRIES = 5
"""Of one transaction."""
SILENT = 1800.0
"""Seconds in which a transaction ends, or its connection is taken for lost: every statement of it has a limit of its
own, but a server that says nothing at all keeps none."""
LONGEST_PAUSE = 5.0
"""Seconds between two tries to connect; the first is 0.2, each is twice the one before."""

Result = TypeVar("Result")


class Link:
    """One thread works with it, any thread may cancel what it does."""

    def __init__(self, connection: Connection, run: Run):
        """Connect. Raises ConfigurationError, RunFailed."""
        self._connection, self._stopping, self._log = connection, run.stopping, run.log
        self._cancelled, self._idle = threading.Event(), threading.Event()
        self._idle.set()
        self.session = connect(connection)
        self.role, self.database = self.session.info.user, self.session.info.dbname
        with self.failing("CONNECT ON the database"):
            self._backend = connecting.backend(self.session)

    @contextmanager
    def busy(self) -> Iterator[None]:
        """What is done here is what `cancel` ends."""
        self._idle.clear()
        try:
            yield
        finally:
            self._idle.set()

    @contextmanager
    def transaction(self, within: float | None = None) -> Iterator[None]:
        """A transaction that has so many seconds; SILENT by default."""
        timer = threading.Timer(SILENT if within is None else within, _hang_up, [self.session])
        timer.daemon = True
        timer.start()
        try:
            with self.session.transaction():
                yield
        finally:
            timer.cancel()

    @contextmanager
    def failing(self, rights: str) -> Iterator[None]:
        """Errors of PostgreSQL leave as ours; `rights` is what a GRANT would have to give."""
        try:
            yield
        except psycopg.Error as error:
            self.check(error)
            raise failure(error, Place(self._connection.id, self.role, rights)) from error

    def check(self, cause: Exception | None = None) -> None:
        """Interrupted once it is cancelled."""
        if self._cancelled.is_set():
            raise Interrupted("the write was cancelled; its batch is undone") from cause

    def repeated(
        self, transaction: Callable[[list[Result]], Result], stands: Callable[[], bool], lost: Callable[[], None]
    ) -> tuple[Result, bool]:
        """Try until it is known to be committed, or known to have failed; what it gave, and whether nobody said so.

        `transaction` adds its result to the list that it is given right before its COMMIT: from then on the last that
        is there may be committed, unheard of, which `stands` finds out. `lost` is called for each lost session.
        """
        passed: list[Result] = []
        for tries_left in reversed(range(TRIES)):
            try:
                if self.session.closed:
                    lost()
                    self._reconnect()
                if not passed or not stands():
                    return transaction(passed), False
            except StopRun:  # at the fence: it may have met itself there
                if not passed or not stands():
                    raise
            except RunFailed as error:
                if not tries_left or not (self.session.closed or retryable(error.__cause__)):
                    raise
                if unusable(error.__cause__):
                    self.session.close()  # libpq may not have noticed: "another command is already in progress"
                self._log.warning("commit_repeated", reason=str(error))
                continue
            break
        self._log.info("commit_had_happened")
        return passed[-1], True

    def cancel(self, others: Callable[[], None]) -> None:
        """End what runs now, and whatever is begun later."""
        self._cancelled.set()
        for _ in range(20):  # a request that finds the server between two statements is lost
            if self._idle.is_set():
                return
            others()
            with suppress(psycopg.Error):  # the connection may be gone, then there is nothing to cancel
                self.session.cancel_safe(timeout=1)
            self._idle.wait(0.1)

    def close(self) -> None:
        """Give the session back."""
        self.session.close()

    def _reconnect(self) -> None:
        """A new session, as soon as there can be one. RunFailed once it has taken too long."""
        self.session = self._connected(time.monotonic() + AWAY)
        with self.failing("CONNECT ON the database"):
            connecting.end_backend(self.session, self._backend)
            self._backend = connecting.backend(self.session)

    def _connected(self, deadline: float) -> Session:
        pause = 0.2
        while True:
            self.check()
            try:
                return connect(self._connection)
            except RunFailed as error:
                if time.monotonic() + pause > deadline:
                    raise RunFailed(f"the database did not come back within {AWAY:.0f} s: {error}") from error
            if self._stopping.wait(pause):
                raise Interrupted("stopped while the database was away; what is committed stays")
            pause = min(pause * 2, LONGEST_PAUSE)


def _hang_up(session: Session) -> None:
    """End the connection under whoever waits for its answer."""
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(session.fileno())) as end:
        end.shutdown(socket.SHUT_RDWR)
