from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest

from airflow_datahub.contract import Silence
from airflow_datahub.demo.mock_api import MockApi
from airflow_datahub.errors import QuotaUsedUp, RunFailed
from airflow_datahub.http.rate import Allowance, Quota, Rate, tightest
from tests.hostile import Asked, Hostile, Reply, reply
from tests.http.asking import ask, connection, run_of

NOW = datetime(2030, 1, 1, tzinfo=UTC)
THEIRS = {"date": format_datetime(NOW, usegmt=True)}
SOON = int(NOW.timestamp()) + 30


@pytest.mark.parametrize(
    ("headers", "quota"),
    [
        ({}, None),
        ({"x-ratelimit-remaining": "5"}, None),
        ({"x-ratelimit-remaining": "5", "x-ratelimit-reset": "soon"}, None),
        ({"x-ratelimit-remaining": "-5", "x-ratelimit-reset": "3"}, None),
        ({"x-ratelimit-remaining": "5", "x-ratelimit-reset": "30"}, Quota(5, 30)),
        ({"x-ratelimit-limit": "60", "x-ratelimit-remaining": "5", "x-ratelimit-reset": str(SOON)}, Quota(5, 30, 60)),
        ({"x-ratelimit-remaining": "5", "x-ratelimit-reset": f"{SOON}000"}, Quota(5, 30)),
        ({"x-ratelimit-remaining": "5", "x-ratelimit-reset": "2030-01-01T00:00:30Z"}, Quota(5, 30)),
        ({"x-ratelimit-remaining": "5", "x-ratelimit-reset": "Tue, 01 Jan 2030 00:00:30 GMT"}, Quota(5, 30)),
        ({"x-ratelimit-remaining": "5", "x-ratelimit-reset": str(SOON - 99)}, Quota(5, 0)),
        ({"x-ratelimit-remaining": "5", "x-ratelimit-reset": "9" * 30}, Quota(5, 86_400)),
        ({"x-rate-limit-remaining": "5", "x-rate-limit-reset": "30"}, Quota(5, 30)),
        ({"ratelimit-limit": "60, 60;w=60", "ratelimit-remaining": "5", "ratelimit-reset": "30"}, Quota(5, 30, 60)),
        ({"ratelimit": "limit=60, remaining=5, reset=30"}, Quota(5, 30, 60)),
        ({"ratelimit": '"default";r=5;t=30'}, Quota(5, 30)),
        ({"ratelimit": '"hour";r=5;t=30', "ratelimit-policy": '"hour";q=60;w=3600'}, Quota(5, 30, 60)),
        (
            {"ratelimit": '"day";r=900;t=30, "min";r=1;t=30', "ratelimit-policy": '"day";q=1000, "min";q=9'},
            Quota(1, 30, 9),
        ),
        ({"ratelimit": '"a";r=0;t=5, "b";r=0;t=50'}, Quota(0, 50)),
        ({"ratelimit": '"a";r=x;t=5'}, None),
        ({"ratelimit": ";;==,,"}, None),
    ],
)
def test_every_form_of_a_quota(headers: dict[str, str], quota: Quota | None) -> None:
    assert tightest({**THEIRS, **headers}) == quota


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def left(count: int, seconds: int, limit: int = 100) -> dict[str, str]:
    return {"ratelimit": f"limit={limit}, remaining={count}, reset={seconds}"}


def test_half_of_a_quota_is_used_at_once_and_the_rest_spread_to_its_end() -> None:
    clock = Clock()
    rate = Rate(clock=clock)
    rate.learn(left(51, 60))
    assert [rate.reserve() for _ in range(3)] == [0, 0, 0]
    rate.learn(left(30, 60))
    assert [rate.reserve() for _ in range(4)] == [2, 4, 6, 8]
    clock.now += 8
    rate.learn(left(0, 40))
    assert [rate.reserve() for _ in range(2)] == [40, 40]


def test_a_rate_to_begin_with_gives_way_to_what_is_learnt() -> None:
    rate = Rate(4, clock=Clock())
    assert [rate.reserve() for _ in range(3)] == [0, 0.25, 0.5]
    rate.learn(left(90, 60))
    assert rate.reserve() == rate.reserve() == 0.75


def test_what_is_too_long_is_not_reserved() -> None:
    clock = Clock()
    rate = Rate(4, clock=clock)
    rate.rest(500)
    for _ in range(2):
        with pytest.raises(QuotaUsedUp, match="is used up for 500 s more") as caught:
            rate.reserve()
        assert caught.value.delay == 500
    clock.now += 201
    assert [rate.reserve(), rate.reserve()] == [299, 299.25]


def test_requests_keep_to_a_rate() -> None:
    with Hostile(lambda _: reply({})) as server:
        started = time.monotonic()
        ask(run_of(connection(server.port)), *"abcdef", at_once=True, rate_limit=10)
    assert time.monotonic() - started >= 0.5


def test_a_quota_that_is_used_up_is_waited_for_by_every_client_of_the_run() -> None:
    def metered(asked: Asked) -> Reply:
        return reply({}, ratelimit="limit=10, remaining=0, reset=1" if asked.path == "/last" else "")

    with Hostile(metered) as server:
        run, started = run_of(connection(server.port)), time.monotonic()
        ask(run, "last")
        ask(run, "more")
    assert time.monotonic() - started >= 1
    assert len(server.asked) == 2


def test_a_quota_of_a_day_ends_the_run() -> None:
    used_up = {"x_ratelimit_limit": "1000", "x_ratelimit_remaining": "0", "x_ratelimit_reset": "40000"}
    with Hostile(lambda _: reply({}, **used_up)) as server, pytest.raises(QuotaUsedUp, match="is used up") as caught:
        ask(run_of(connection(server.port)), "a", "b")
    assert len(server.asked) == 1
    assert 39_000 < caught.value.delay <= 40_000
    with Hostile(lambda _: reply({}, 429, **used_up)) as server, pytest.raises(QuotaUsedUp) as caught:
        ask(run_of(connection(server.port)), "a")
    assert caught.value.delay == 40_000


def test_a_refusal_holds_the_others_back() -> None:
    refused = iter([True])

    def busy(_: Asked) -> Reply:
        return reply("", 429, retry_after="1") if next(refused, False) else reply({})

    with Hostile(busy) as server:
        run, started = run_of(connection(server.port)), time.monotonic()
        with pytest.raises(RunFailed):
            ask(run_of(connection(1, retries=0)), "a")
        ask(run, "a", "b")
    assert time.monotonic() - started >= 1


def test_a_limited_api_is_never_made_to_refuse() -> None:
    repeated: list[str] = []

    class Log(Silence):
        def warning(self, event: str, **fields: Any) -> None:  # type: ignore[override]
            repeated.append(event)

    with MockApi(events=100, rate_limit=6, rate_window=2) as api:
        given = connection(api.port, password=api.api_key, auth="api_key", base_path="api/v1", retries=0)
        answers = ask(run_of(given, log=Log()), *["events?limit=5"] * 9)
    assert len(answers) == 9
    assert repeated == []


def test_a_quota_of_a_day_is_used_up_and_not_spread_over_the_day() -> None:
    rate = Rate(clock=Clock())
    rate.learn(left(100, 80_000, limit=1000))
    assert [rate.reserve() for _ in range(3)] == [0, 0, 0]
    given = {"x_ratelimit_limit": "1000", "x_ratelimit_remaining": "100", "x_ratelimit_reset": "80000"}
    with Hostile(lambda _: reply({}, **given)) as server:
        assert len(ask(run_of(connection(server.port)), "a", "b", "c")) == 3


# --- what the connection allows


def test_what_a_connection_allows_is_never_exceeded_and_the_lower_of_two_rates_wins() -> None:
    clock = Clock()
    rate = Rate(100, clock=clock, allowed=Allowance(4))
    assert [rate.reserve() for _ in range(3)] == [0, 0.25, 0.5]
    rate.learn(left(90, 60))  # as fast as we like, it says
    assert [rate.reserve(), rate.reserve()] == [0.75, 1.0]
    slower = Rate(2, clock=clock, allowed=Allowance(4))
    assert [slower.reserve() for _ in range(3)] == [0, 0.5, 1.0]
    slower.learn(left(30, 60))  # one every two seconds
    assert [slower.reserve() for _ in range(3)] == [2, 4, 6]


def test_after_a_rest_a_burst_goes_out_at_once_and_no_more() -> None:
    clock = Clock()
    rate = Rate(clock=clock, allowed=Allowance(2, burst=3))
    assert [rate.reserve() for _ in range(5)] == [0, 0, 0, 0.5, 1.0]
    clock.now += 1.5
    assert [rate.reserve(), rate.reserve()] == [0, 0.5]
    clock.now += 1000
    assert [rate.reserve() for _ in range(4)] == [0, 0, 0, 0.5]


def test_what_a_connection_allows_is_waited_for_however_long_that_takes() -> None:
    """It is no wish of the server's, which would put the task off."""
    rate = Rate(clock=Clock(), allowed=Allowance(0.01))
    assert [rate.reserve() for _ in range(5)] == [0, 100, 200, 300, 400]


def test_the_server_sees_no_more_requests_than_the_connection_allows() -> None:
    """By the server's own clock, over two clients of a run at once, whose steps ask for more."""
    seen: list[float] = []

    def timed(_: Asked) -> Reply:
        seen.append(time.monotonic())
        return reply({})

    with Hostile(timed) as server:
        run = run_of(connection(server.port, rate_limit=20, burst=4))
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda _: ask(run, *["a"] * 10, at_once=True, rate_limit=1000), range(2)))
    assert len(seen) == 20
    for start in seen:
        assert sum(start <= at < start + 0.4 for at in seen) <= 0.4 * 20 + 4 + 1  # one that was on its way
    assert seen[-1] - seen[0] >= 16 / 20 - 0.05
