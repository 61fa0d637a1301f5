"""Work under a time limit that begins with a stop."""

from __future__ import annotations

import contextvars
import threading
import time
from typing import Any

import pytest

from airflow_datahub.contract import Silence
from airflow_datahub.engine import in_time, leaving
from airflow_datahub.errors import ConfigurationError, Interrupted, RunFailed

NAME = contextvars.ContextVar("NAME", default="nobody")


def raising(error: BaseException, stopping: threading.Event, stop: bool) -> Any:
    """Work that asks for a stop itself, or not, and fails."""
    if stop:
        stopping.set()
    raise error


def test_what_the_work_gives_comes_back_from_another_thread_in_the_same_context() -> None:
    NAME.set("caller")
    thread, name = in_time(lambda: (threading.current_thread(), NAME.get()), threading.Event(), Silence())
    assert thread is not threading.current_thread()
    assert name == "caller"


@pytest.mark.parametrize("stop", [False, True])
@pytest.mark.parametrize(
    "error", [ConfigurationError("a person must act"), ZeroDivisionError(), Interrupted("stopped")]
)
def test_what_the_work_raises_comes_back(error: Exception, stop: bool) -> None:
    stopping = threading.Event()
    with pytest.raises(type(error)) as caught:
        in_time(lambda: raising(error, stopping, stop), stopping, Silence())
    assert caught.value is error


def test_a_failure_while_stopping_is_the_stop() -> None:
    stopping = threading.Event()
    with pytest.raises(RunFailed):
        in_time(lambda: raising(RunFailed("the network is down"), stopping, False), stopping, Silence())
    with pytest.raises(Interrupted, match="the network is down"):
        in_time(lambda: raising(RunFailed("the network is down"), stopping, True), stopping, Silence())


def test_what_does_not_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaving, "LEAVE_AFTER", 0.3)
    stopping, release = threading.Event(), threading.Event()
    threading.Timer(0.1, stopping.set).start()
    started = time.monotonic()
    with pytest.raises(Interrupted, match="was left"):
        in_time(release.wait, stopping, Silence())
    assert 0.3 < time.monotonic() - started < 10
    release.set()


def test_a_blow_from_outside_stops_the_work_and_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def struck(*_: object) -> bool:
        raise OSError("the task's time is over")

    monkeypatch.setattr(leaving, "_wait", struck)
    stopping, ended = threading.Event(), threading.Event()

    def work() -> None:
        stopping.wait(10)
        ended.set()

    with pytest.raises(OSError, match="time is over"):
        in_time(work, stopping, Silence())
    assert ended.is_set()
