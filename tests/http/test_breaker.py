from __future__ import annotations

import time

import pytest

from airflow_datahub.errors import RetryLater, RunFailed
from airflow_datahub.http.breaker import LOOK_AGAIN, Breaker, Fuse
from tests.hostile import Hostile, Reply, reply
from tests.http.asking import ask, connection, run_of


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def opened(clock: Clock) -> Breaker:
    breaker = Breaker(Fuse(), clock)
    for _ in range(5):
        assert breaker.admit() == 0
        breaker.failed()
    return breaker


def test_five_failures_in_a_row_open_it_for_thirty_seconds() -> None:
    clock = Clock()
    breaker = Breaker(Fuse(), clock)
    for _ in range(4):
        breaker.failed()
    breaker.succeeded()
    for _ in range(4):
        breaker.failed()
    assert breaker.admit() == 0
    breaker.failed()
    clock.now = 10
    with pytest.raises(RetryLater, match="5 requests in a row failed") as caught:
        breaker.admit()
    assert caught.value.delay == 20


def test_three_trials_that_succeed_close_it() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now = 30
    for _ in range(3):
        assert breaker.admit() == 0
        assert breaker.admit() == LOOK_AGAIN
        breaker.succeeded()
    assert [breaker.admit() for _ in range(3)] == [0, 0, 0]
    for _ in range(4):
        breaker.failed()
    assert breaker.admit() == 0


def test_a_trial_that_fails_opens_it_again() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now = 30
    assert breaker.admit() == 0
    breaker.succeeded()
    assert breaker.admit() == 0
    breaker.failed()
    with pytest.raises(RetryLater):
        breaker.admit()
    clock.now = 60
    assert breaker.admit() == 0
    breaker.neither()
    for _ in range(3):
        assert breaker.admit() == 0
        breaker.succeeded()
    assert breaker.admit() == breaker.admit() == 0


def test_an_open_circuit_is_for_later_and_asks_nothing() -> None:
    with Hostile(lambda _: reply("", 500)) as server:
        run = run_of(connection(server.port, retries=3, breaker_seconds=20))
        with pytest.raises(RunFailed):
            ask(run, "a")
        with pytest.raises(RetryLater, match=r"GET http://.*/a: 5 requests in a row failed") as caught:
            ask(run, "a")
    assert len(server.asked) == 5
    assert 15 < caught.value.delay <= 20


def test_its_numbers_are_options() -> None:
    answers: list[Reply] = [reply("", 500), reply("", 500), reply({}), reply({})]
    with Hostile(lambda _: answers.pop(0)) as server:
        numbers = {"breaker_failures": 2, "breaker_seconds": 0.01, "breaker_trials": 2, "breaker_successes": 1}
        run = run_of(connection(server.port, retries=0, **numbers))
        for _ in range(2):
            with pytest.raises(RunFailed):
                ask(run, "a")
        time.sleep(0.05)
        ask(run, "a", "a")


@pytest.mark.parametrize("status", [400, 404, 429])
def test_an_answer_that_says_no_is_no_failure(status: int) -> None:
    said = iter([status] * 6)

    def no(_: object) -> Reply:
        return reply("", next(said, 200))

    with Hostile(no) as server:
        run = run_of(connection(server.port, breaker_failures=2, breaker_seconds=60))
        for _ in range(7):
            try:
                ask(run, "a")
            except RetryLater:
                raise
            except Exception:
                continue
    assert len(server.asked) == (13 if status == 429 else 7)  # a 429 is asked again in place


def test_what_was_under_way_before_it_opened_does_not_close_it() -> None:
    breaker = opened(Clock())
    for _ in range(3):
        breaker.succeeded()
    with pytest.raises(RetryLater):
        breaker.admit()
