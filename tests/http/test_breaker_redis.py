"""The state of a circuit breaker that processes share in a real Redis."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_datahub.contract import Connection, Run, Silence
from airflow_datahub.errors import ConfigurationError, RetryLater, RunFailed
from airflow_datahub.http import breaker_redis
from airflow_datahub.http.breaker import Fuse
from airflow_datahub.http.breaker_redis import PREFIX, Link, SharedBreaker
from airflow_datahub.redis_connection import client_of
from tests.hostile import Asked, Hostile, Reply, reply
from tests.http.asking import ask, connection
from tests.redis_server import RedisServer
from tests.world import ROOT


class Heard(Silence):
    def __init__(self) -> None:
        self.events: list[str] = []

    def warning(self, event: str, **fields: Any) -> None:
        self.events.append(event)

    info = warning


@pytest.fixture(scope="module")
def running() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis(running: RedisServer) -> RedisServer:
    running.client.flushall()
    running.client.config_resetstat()
    return running


def run_of(given: Connection, redis: RedisServer | Connection, log: Any = None) -> Run:
    """A run as another process has it: it knows nothing but what is in Redis."""
    to = redis if isinstance(redis, Connection) else redis.connection()
    known = {given.id: given, to.id: to}
    return Run(pipeline="p", run_id="r", connections=known.__getitem__, redis=to.id, log=log or Silence())


def breaker(redis: RedisServer, *, lease: float = 30.0, log: Any = None, **numbers: Any) -> SharedBreaker:
    link = Link(client_of(redis.connection()), "shared_redis", log or Silence())
    return SharedBreaker(Fuse(**numbers), link, "api@example:80", lease)


async def told(breaker: SharedBreaker, *verbs: str) -> None:
    for verb in verbs:
        getattr(breaker, verb)()
    await breaker.settle()


def failed_at(server: Hostile, redis: RedisServer, **extra: Any) -> None:
    with pytest.raises(RunFailed):
        ask(run_of(connection(server.port, retries=0, **extra), redis), "a")


def test_a_circuit_that_one_run_opened_is_open_for_all(redis: RedisServer) -> None:
    with Hostile(lambda _: reply("", 500)) as server:
        for _ in range(3):
            failed_at(server, redis, breaker_failures=3, breaker_seconds=20)
        with pytest.raises(RetryLater, match=r"GET http://.*/a: 3 requests in a row failed") as caught:
            ask(run_of(connection(server.port, breaker_failures=3, breaker_seconds=20), redis), "a")
    assert len(server.asked) == 3
    assert 10 < caught.value.delay <= 20
    (key,) = redis.client.keys()
    assert key == f"{PREFIX}api@127.0.0.1:{server.port}"
    assert redis.client.ttl(key) > 3000


SPEC = """
version: 1
steps:
- {key: extract, type: extract, adapter: http_api, config: {connection: api, path: /events}}
- {key: load, type: load, adapter: stdout}
"""


def test_processes_of_the_command_share_it_once_the_option_is_set(redis: RedisServer, tmp_path: Path) -> None:
    spec = tmp_path / "events.yaml"
    spec.write_text(SPEC)
    with Hostile(lambda _: reply("", 500)) as server:
        extra = {"allow_private": True, "retries": 0, "breaker_failures": 2}
        api = {"conn_type": "http", "host": "127.0.0.1", "port": server.port, "extra": extra}
        environ = {
            **os.environ, "AIRFLOW_HOME": str(tmp_path), "PYTHONPATH": str(ROOT),
            "AIRFLOW_CONN_API": json.dumps(api),
            "AIRFLOW_CONN_STATES": f"redis://127.0.0.1:{redis.port}/3",
            "AIRFLOW__AIRFLOW_DATAHUB__REDIS_CONN_ID": "states",
        }  # fmt: skip
        command = [sys.executable, "-m", "airflow_datahub.cli", "run", str(spec)]
        runs = [subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60) for _ in range(3)]
    assert [run.returncode for run in runs] == [1, 1, 1]
    assert ["2 requests in a row failed" in run.stderr for run in runs] == [False, False, True], runs[2].stderr
    assert len(server.asked) == 2
    assert redis.client.info("keyspace")["db3"]["keys"] == 1


ASK = """
import json, sys
from airflow_datahub.errors import RetryLater
from tests.http.asking import ask, connection
from tests.http.test_breaker_redis import run_of
from tests.redis_server import RedisServer

port, redis, numbers, times = json.loads(sys.argv[1])
run = run_of(connection(port, retries=0, **numbers), RedisServer(port=redis).connection())
print("ready", flush=True)
sys.stdin.readline()
for _ in range(times):
    try:
        ask(run, "a")
    except RetryLater:
        print("later")
    except Exception as error:
        print(type(error).__name__)
    else:
        print("done")
"""


def processes(number: int, server: Hostile, redis: RedisServer, numbers: dict[str, Any], times: int) -> list[list[str]]:
    """What became of the requests of so many processes, which begin together."""
    command = [sys.executable, "-c", ASK, json.dumps([server.port, redis.port, numbers, times])]
    started = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(number)
    ]
    for process in started:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    return [process.communicate(timeout=60)[0].split() for process in started]


def test_no_failure_of_any_process_is_lost(redis: RedisServer) -> None:
    with Hostile(lambda _: reply("", 500)) as server:
        outcomes = processes(4, server, redis, {"breaker_failures": 21, "breaker_seconds": 20}, 5)
        assert outcomes == [["RunFailed"] * 5] * 4
        failed_at(server, redis, breaker_failures=21, breaker_seconds=20)
        with pytest.raises(RetryLater):
            ask(run_of(connection(server.port, breaker_failures=21, breaker_seconds=20), redis), "a")
    assert len(server.asked) == 21


def test_two_processes_half_open_let_one_request_through_at_a_time(redis: RedisServer) -> None:
    busy, most, lock = 0, [], threading.Lock()

    def slow(_: Asked) -> Iterator[bytes | float]:
        nonlocal busy
        with lock:
            busy += 1
            most.append(busy)
        yield 0.2
        with lock:
            busy -= 1
        yield reply({})

    def answer(asked: Asked) -> Reply:
        return reply("", 500) if len(server.asked) == 1 else slow(asked)

    numbers = {"breaker_failures": 1, "breaker_seconds": 0.3, "breaker_successes": 6}
    with Hostile(answer) as server:
        failed_at(server, redis, **numbers)
        time.sleep(0.5)
        outcomes = processes(2, server, redis, numbers, 3)
    assert outcomes == [["done"] * 3] * 2
    assert most == [1] * 6
    assert redis.client.keys() == []


def test_its_numbers_are_options(redis: RedisServer) -> None:
    answers: list[Reply] = [reply("", 500), reply("", 500), reply({}), reply({})]
    with Hostile(lambda _: answers.pop(0)) as server:
        numbers = {"breaker_failures": 2, "breaker_seconds": 1.5, "breaker_trials": 2, "breaker_successes": 2}
        for _ in range(2):
            failed_at(server, redis, **numbers)
        with pytest.raises(RetryLater) as caught:
            ask(run_of(connection(server.port, **numbers), redis), "a")
        time.sleep(caught.value.delay + 0.05)
        ask(run_of(connection(server.port, **numbers), redis), "a", "a", at_once=True)
    assert redis.client.keys() == []


def test_a_success_anywhere_ends_the_row(redis: RedisServer) -> None:
    async def work() -> None:
        mine, theirs = breaker(redis, failures=3), breaker(redis, failures=3)
        await mine.turn()
        await told(mine, "failed", "failed")
        await theirs.turn()
        await told(theirs, "succeeded")
        await told(mine, "failed", "failed")
        await mine.turn()

    asyncio.run(work())


def test_a_trial_that_fails_opens_it_again_and_one_that_tells_nothing_makes_room(redis: RedisServer) -> None:
    async def work() -> None:
        mine, theirs = (breaker(redis, failures=1, seconds=0.6, successes=2) for _ in range(2))
        await told(mine, "failed")
        await asyncio.sleep(0.65)
        await mine.turn()
        await told(mine, "succeeded")
        await mine.turn()
        await told(mine, "neither")
        await theirs.turn()
        await told(theirs, "failed")
        with pytest.raises(RetryLater):
            await mine.turn()

    asyncio.run(work())


def test_what_was_under_way_before_it_opened_does_not_close_it(redis: RedisServer) -> None:
    async def work() -> None:
        mine, theirs, new = (breaker(redis, failures=1, seconds=0.5, successes=1) for _ in range(3))
        await theirs.turn()
        await told(mine, "failed", "succeeded")
        await told(theirs, "succeeded")
        await asyncio.sleep(0.55)
        await told(mine, "succeeded")
        await new.turn()  # the one trial
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(mine.turn(), 0.3)

    asyncio.run(work())


def test_the_trial_of_a_process_that_was_killed_does_not_count_for_ever(redis: RedisServer) -> None:
    async def work() -> None:
        killed, other = (breaker(redis, failures=1, seconds=0.1, successes=1, lease=1.5) for _ in range(2))
        await told(killed, "failed")
        await asyncio.sleep(0.15)
        await killed.turn()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(other.turn(), 0.3)
        await asyncio.wait_for(other.turn(), 5)
        await told(other, "succeeded")

    asyncio.run(work())
    assert redis.client.keys() == []


def test_a_server_whose_clock_was_set_back_keeps_it_open_no_longer(redis: RedisServer) -> None:
    async def work() -> None:
        mine = breaker(redis, failures=1, seconds=20)
        await told(mine, "failed")
        redis.client.hset(f"{PREFIX}api@example:80", "opened", int(redis.client.time()[0] + 3600) * 1000)
        with pytest.raises(RetryLater) as caught:
            await mine.turn()
        assert caught.value.delay == 20

    asyncio.run(work())


def test_a_closed_circuit_is_not_asked_about_for_every_page(redis: RedisServer) -> None:
    with Hostile(lambda _: reply({})) as server:
        started = time.monotonic()
        ask(run_of(connection(server.port), redis), *["a"] * 100)
        seconds = time.monotonic() - started
    assert redis.scripts() <= 2 + seconds
    assert redis.client.keys() == []


def test_runs_go_on_by_themselves_when_it_is_killed_midway_and_say_so_once() -> None:
    answers = [200] * 3 + [500] * 5
    heard = Heard()
    with RedisServer() as redis, Hostile(lambda _: reply("", answers.pop(0))) as server:
        run = run_of(connection(server.port, retries=0), redis, heard)
        ask(run, "a", "a")
        redis.kill()
        time.sleep(breaker_redis.LOOK_EVERY)
        started = time.monotonic()
        ask(run, "a")
        for _ in range(5):
            with pytest.raises(RunFailed):
                ask(run, "a")
        with pytest.raises(RetryLater, match="5 requests in a row failed"):
            ask(run, "a")
        assert time.monotonic() - started < 5
    assert heard.events == ["redis_lost"]


def test_it_decides_again_once_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker_redis, "REST", 0.1)
    heard = Heard()

    async def work(redis: RedisServer) -> None:
        mine = breaker(redis, log=heard, failures=1)
        redis.kill()
        await mine.turn()
        redis.start()
        await told(breaker(redis, failures=1), "failed")
        while heard.events != ["redis_lost", "redis_found_again"]:
            await mine.turn()
            await asyncio.sleep(0.05)
        with pytest.raises(RetryLater):
            await mine.turn()
        redis.kill()
        await mine.turn()
        assert heard.events == ["redis_lost", "redis_found_again"]

    with RedisServer() as redis:
        asyncio.run(asyncio.wait_for(work(redis), 30))


def test_one_that_says_nothing_holds_neither_the_loop_nor_the_request_for_long() -> None:
    heard, ticks = Heard(), 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    async def work(redis: RedisServer) -> float:
        mine = breaker(redis, log=heard)
        await mine.turn()
        ticking = asyncio.create_task(tick())
        redis.freeze()
        started = time.monotonic()
        await told(mine, "failed", "failed")
        await mine.turn()
        await told(mine, "succeeded")
        seconds = time.monotonic() - started
        ticking.cancel()
        return seconds

    with RedisServer() as redis:
        assert asyncio.run(work(redis)) < 2.5
    assert ticks > 15
    assert heard.events == ["redis_lost"]


def test_a_wrong_password_is_for_a_person() -> None:
    with RedisServer(password="right") as redis, Hostile(lambda _: reply({})) as server:
        for wrong in ("wrong", None):
            given = replace(redis.connection(), password=wrong)
            with pytest.raises(ConfigurationError, match=r"'shared_redis': Redis says .*; check its login"):
                ask(run_of(connection(server.port), given), "a")
        assert server.asked == []
        ask(run_of(connection(server.port), redis), "a")


LEAST: dict[str, Any] = {
    "categories": ["+@scripting", "+@hash"],
    "commands": ["+ping", "+select", "+time", "+del", "+pexpire"],
}
"""The rights that docs/http.md asks for."""


def test_rights_that_are_taken_away_later_end_no_run() -> None:
    heard = Heard()
    with RedisServer() as redis, Hostile(lambda _: reply({})) as server:
        redis.client.acl_setuser("me", enabled=True, passwords=["+p"], keys=[f"{PREFIX}*"], **LEAST)
        run = run_of(connection(server.port), redis.connection(login="me", password="p", schema="1"), heard)
        ask(run, "a")
        redis.client.acl_setuser("me", reset=True)
        time.sleep(breaker_redis.LOOK_EVERY)
        ask(run, "a")
    assert heard.events == ["redis_lost"]


def test_what_a_process_saw_itself_counts_no_more_once_redis_knows_better(redis: RedisServer) -> None:
    async def story() -> None:
        ours = breaker(redis, failures=3)
        await told(ours, *["failed"] * 3)
        with pytest.raises(RetryLater):
            await ours.turn()
        redis.client.flushall()  # the others have closed it since
        await ours.turn()
        ours.succeeded()
        ours._link._lose("gone")
        await ours.turn()

    asyncio.run(story())


def test_one_that_was_lost_and_then_refuses_us_is_left_alone_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker_redis, "REST", 0.3)
    asked: list[float] = []
    with RedisServer(password="right") as server:
        client = client_of(replace(server.connection(), password="wrong"))
        ping = client.ping

        def counted() -> Any:
            asked.append(time.monotonic())
            return ping()

        monkeypatch.setattr(client, "ping", counted)
        link = Link(client, "shared_redis", Silence())
        link._lose("gone")
        for _ in range(50):
            link.up()
            time.sleep(0.02)
    assert 1 <= len(asked) <= 4
