"""A stop ends every wait within a moment; look-ups and connecting are in test_pinning.py."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from airflow_datahub.errors import Interrupted, RunFailed
from tests.hostile import Asked, Hostile, Reply, reply
from tests.http.asking import SECRET, ask, connection, run_of
from tests.http.hostile_server import slowly

PATIENT: dict[str, Any] = {"timeout": 30, "retry_delay": 60, "retries": 20}
USED_UP = {"ratelimit": "limit=9, remaining=0, reset=60"}


def stopped(answer: Any, *addresses: str, **changes: Any) -> Hostile:
    """Asks, and stops after a while."""
    stopping = threading.Event()
    with Hostile(answer) as server:
        given = {name: str(text).format(port=server.port) for name, text in changes.items() if isinstance(text, str)}
        run = run_of(connection(server.port, **(PATIENT | changes | given)), stopping)
        threading.Timer(0.4, stopping.set).start()
        started = time.monotonic()
        with pytest.raises(Interrupted):
            ask(run, *addresses, at_once=len(addresses) > 2)
    assert time.monotonic() - started < 3
    return server


@pytest.mark.parametrize(
    "waiting",
    [
        lambda: [30.0],
        lambda: slowly(reply("x" * 1000), 0.05),
        lambda: [reply("x" * 1000)[:-10], 30.0],
        lambda: reply("", 429, retry_after="60"),
        lambda: reply("", 500),
    ],
    ids=["head", "slow body", "body", "retry-after", "backoff"],
)
def test_while_asking(waiting: Any) -> None:
    stopped(lambda _: waiting(), "a")


def test_while_waiting_for_the_quota() -> None:
    assert len(stopped(lambda _: reply({}, **USED_UP), "a", "b").asked) == 1


def test_while_waiting_for_a_lane() -> None:
    assert len(stopped(lambda _: [30.0], *"abcdefgh").asked) == 5


def test_while_fetching_a_token() -> None:
    oauth = {"auth": "oauth2", "login": "me", "password": SECRET, "oauth_url": "http://127.0.0.1:{port}/token"}
    assert stopped(lambda _: [30.0], "a", **oauth).asked[0].path == "/token"


def test_while_others_are_the_trials() -> None:
    said: list[Reply] = [reply("", 500), [30.0]]

    def answer(_: Asked) -> Reply:
        return said.pop(0)

    numbers = {"breaker_failures": 1, "breaker_seconds": 0.05, "retry_delay": 0.01}
    stopping = threading.Event()
    with Hostile(answer) as server:
        run = run_of(connection(server.port, **(PATIENT | numbers | {"retries": 0})), stopping)
        with pytest.raises(RunFailed):
            ask(run, "a")
        time.sleep(0.1)
        threading.Timer(0.4, stopping.set).start()
        with pytest.raises(Interrupted):
            ask(run, "a", "b", "c", at_once=True)
    assert len(server.asked) == 2


def test_a_body_that_drips_is_given_up_before_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_datahub.http.transport.WINDOW", 0.3)
    started = time.monotonic()
    with Hostile(lambda _: slowly(reply("x" * 1000), 0.02)) as server:
        with pytest.raises(RunFailed, match=r"less than 1,024 bytes/s over 0\.3 s"):
            ask(run_of(connection(server.port, timeout=60, retries=0)), "a")
        assert time.monotonic() - started < 10
        steady = run_of(connection(server.port, timeout=60, min_rate=10))
        assert len(ask(steady, "a")[0].body) == 1000


def test_a_body_may_pause_where_no_rate_is_asked_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_datahub.http.transport.WINDOW", 0.1)
    raw = reply("x" * 1000)
    with Hostile(lambda _: [raw[:-5], 0.4, raw[-5:]]) as server:
        assert len(ask(run_of(connection(server.port, retries=0, min_rate=0)), "a")[0].body) == 1000
