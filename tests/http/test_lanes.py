from __future__ import annotations

import asyncio
import threading
import time

from airflow_datahub.http.lanes import Lanes
from tests.hostile import Asked, Close, Hostile, Reply, reply
from tests.http.asking import ask, connection, run_of


def test_it_grows_with_successes_and_narrows_with_refusals() -> None:
    lanes = Lanes(7)
    assert lanes.width == 5
    widths = []
    for _ in range(200):
        lanes.succeeded()
        widths.append(lanes.width)
    assert [widths[49], widths[99], widths[-1]] == [6, 7, 7]
    lanes.refused()
    lanes.refused()
    lanes.succeeded()
    lanes.refused()
    assert lanes.width == 7
    lanes.refused()
    lanes.refused()
    assert lanes.width == 2
    assert Lanes(1).width == 1


def test_waiters_that_are_cancelled_leave_their_lane_to_others() -> None:
    async def work() -> int:
        lanes, done = Lanes(1), 0

        async def one(seconds: float) -> None:
            nonlocal done
            async with lanes:
                await asyncio.sleep(seconds)
                done += 1

        tasks = [asyncio.ensure_future(one(0.05)) for _ in range(4)]
        await asyncio.sleep(0.01)
        tasks[0].cancel()
        tasks[2].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(1), lanes:
            return done

    assert asyncio.run(work()) == 2


class Counting:
    """How many requests are under way at once."""

    def __init__(self) -> None:
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()

    def __call__(self, _: Asked) -> Reply:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(0.05)
        with self._lock:
            self._now -= 1
        return reply({})


def test_five_are_under_way_at_first_and_never_more_than_allowed() -> None:
    cases: list[tuple[int, dict[str, int], int]] = [(10, {}, 5), (3, {}, 3), (1, {}, 1)]
    for allowed, extra, most in [*cases, (10, {"concurrency": 2}, 2), (1, {"concurrency": 2}, 1)]:
        counting = Counting()
        with Hostile(counting) as server:
            ask(run_of(connection(server.port, **extra)), *["a"] * 20, at_once=True, concurrency=allowed)
        assert counting.most == most
        assert server.connections == most


def test_a_kept_connection_that_the_server_closed_costs_no_retry() -> None:
    """The client asks on it at the moment in which the server ends it."""
    count = iter(range(100))

    def third_closes(_: Asked) -> Reply:
        return [Close] if next(count) == 2 else reply({})

    with Hostile(third_closes) as server:
        ask(run_of(connection(server.port, retries=0)), *"abcd")
    assert len(server.asked) == 5
    assert server.connections == 2
