"""Leave in time after a stop, whatever hangs: a connection, a name server, a lock, a disk.

Only Python's main thread runs signal handlers, and only between two of its own steps; so it does nothing but wait.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from airflow_datahub.contract import Log
from airflow_datahub.errors import Interrupted, RunFailed

T = TypeVar("T")

LEAVE_AFTER = 3.6
"""Seconds after a stop at which the work is left behind: a task leaves within four, Airflow kills at five."""


def in_time(work: Callable[[], T], stopping: threading.Event, log: Log) -> T:
    """What `work` gives or raises; it runs on a thread of its own.

    Raises Interrupted where it has not ended `LEAVE_AFTER` seconds after `stopping` was set: it is left behind then,
    and the process should end; and where it failed while it was stopping. What strikes the calling thread (a time limit
    of the task's) is a stop as well.
    """
    outcome: Future[T] = Future()
    thread = threading.Thread(target=contextvars.copy_context().run, args=(_run, work, outcome), daemon=True)
    thread.start()
    try:
        left = _wait(thread, stopping)
    except KeyboardInterrupt:  # asked twice: at once
        stopping.set()
        raise
    except BaseException:
        stopping.set()
        thread.join(LEAVE_AFTER)
        raise
    if left:
        raise _interrupted(
            log, f"not all of it had ended after {LEAVE_AFTER:g} s and was left; what is committed stays"
        )
    try:
        return outcome.result()
    except RunFailed as error:
        if stopping.is_set():  # the network may be going down with us: no failure that a try should be used up for
            raise _interrupted(log, str(error)) from error
        raise


def _interrupted(log: Log, text: str) -> Interrupted:
    log.info(f"ingestion interrupted: {text}")
    return Interrupted(text)


def _wait(thread: threading.Thread, stopping: threading.Event) -> bool:
    """True if the thread has to be left behind."""
    asked: float | None = None
    while thread.is_alive():
        thread.join(0.1)
        if asked is None and stopping.is_set():
            asked = time.monotonic()
        if asked is not None and time.monotonic() - asked > LEAVE_AFTER:
            return thread.is_alive()
    return False


def _run(work: Callable[[], T], outcome: Future[T]) -> None:
    try:
        outcome.set_result(work())
    except BaseException as error:
        outcome.set_exception(error)
