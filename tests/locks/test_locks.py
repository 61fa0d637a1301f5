"""Locks: of two who want the same, one waits; who has lost it writes nothing more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from airflow_datahub import environment
from airflow_datahub.contract import Connection, Run
from airflow_datahub.errors import ConfigurationError, Interrupted, RetryLater, RunFailed
from airflow_datahub.locks import Wanted, held
from tests.redis_server import RedisServer, free_port
from tests.world import EVENTS_ALONE, ROOT, World

STORE = environment.option("store_connection") or ""


@pytest.fixture(scope="module")
def running() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis(running: RedisServer) -> RedisServer:
    running.client.flushall()
    return running


def run_of(*connections: Connection, **more: Any) -> Run:
    known = {each.id: each for each in connections}

    def connection(name: str) -> Connection:
        return known[name] if name in known else environment.connection(name)

    return Run(pipeline="p", run_id="r", connections=connection, **more)


@pytest.fixture(params=["redis", "postgres", "file", "memory"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Any, Run]:
    """A backend, and the run that uses it."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    if request.param == "redis":
        redis: RedisServer = request.getfixturevalue("redis")
        return "redis", run_of(redis.connection(), redis="shared_redis")
    if request.param == "postgres":
        dsn = request.getfixturevalue("database")
        monkeypatch.setenv(f"AIRFLOW_CONN_{STORE.upper()}", dsn)
        return "postgres", run_of(environment.connection(STORE))
    return request.param, run_of()


def wanted(name: str = "events", holder: str = "shop r1", **more: Any) -> Wanted:
    return Wanted(name=name, holder=holder, **{"wait": 0.3, **more})


def test_of_two_one_gets_it(place: tuple[Any, Run]) -> None:
    backend, run = place
    with held(wanted(backend=backend), run) as check:
        check()
        with (
            pytest.raises(RetryLater, match=r"'events'.*is held by shop r1; it did not become free within 0.3 s"),
            held(wanted(backend=backend, holder="other r2"), run),
        ):
            pass
        with held(wanted("another", backend=backend), run) as other:
            other()
        check()
    with held(wanted(backend=backend, holder="other r2"), run) as check:
        check()


def test_who_waits_gets_it_once_it_is_free(place: tuple[Any, Run]) -> None:
    backend, run = place
    first = held(wanted(backend=backend), run)
    first.__enter__()
    threading.Timer(0.4, lambda: first.__exit__(None, None, None)).start()
    with held(wanted(backend=backend, holder="other r2", wait=10), run) as check:
        check()


def test_a_stop_ends_the_wait(place: tuple[Any, Run]) -> None:
    backend, run = place
    with held(wanted(backend=backend), run):
        run.stopping.set()
        with (
            pytest.raises(Interrupted, match="while waiting for the lock"),
            held(wanted(backend=backend, wait=60), run),
        ):
            pass


HOLDER = """
import os, sys, time
from airflow_datahub import environment
from airflow_datahub.contract import Run
from airflow_datahub.locks import Wanted, held
run = Run(pipeline="p", run_id="r", connections=environment.connection, redis=environment.redis_connection())
with held(Wanted(name="events", holder="killed r1", ttl=1.0), run):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_killed_holder_keeps_nobody_out(place: tuple[Any, Run], tmp_path: Path) -> None:
    backend, run = place
    if backend == "memory":
        return  # it ends with its process
    given = {"AIRFLOW_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    if backend == "redis":
        port = run.connections("shared_redis").port
        given |= {"AIRFLOW_CONN_R": f"redis://127.0.0.1:{port}", "AIRFLOW__AIRFLOW_DATAHUB__REDIS_CONN_ID": "r"}
    if backend == "postgres":
        given[f"AIRFLOW_CONN_{STORE.upper()}"] = os.environ[f"AIRFLOW_CONN_{STORE.upper()}"]
    child = subprocess.Popen([sys.executable, "-c", HOLDER], env=given, stdout=subprocess.PIPE, text=True)
    assert child.stdout
    assert child.stdout.readline() == "held\n"
    with pytest.raises(RetryLater, match="killed r1"), held(wanted(wait=0), run):
        pass
    child.send_signal(signal.SIGKILL)
    child.wait()
    with held(wanted(wait=5), run) as check:
        check()


def test_redis_renews_it_while_the_holder_lives(redis: RedisServer) -> None:
    run = run_of(redis.connection(), redis="shared_redis")
    with held(wanted(ttl=0.5), run) as check:
        with pytest.raises(RetryLater), held(wanted(wait=1.5), run):
            pass
        check()
    assert redis.client.keys() == []


def test_a_lock_that_redis_gave_to_another_is_lost(redis: RedisServer) -> None:
    run = run_of(redis.connection(), redis="shared_redis")
    with held(wanted(), run) as check:
        redis.client.set("airflow_datahub:lock:events", "token other r2")
        with pytest.raises(RetryLater, match="is lost: Redis has given it to another"):
            check()
    assert redis.client.get("airflow_datahub:lock:events") == "token other r2", "it is not ours to free"


def test_a_redis_that_is_silent_for_longer_than_the_lock_lives_has_lost_it() -> None:
    with RedisServer() as server:
        with held(wanted(ttl=1.0), run_of(server.connection(), redis="shared_redis")) as check:
            server.kill()
            check()  # for a second nobody else can have it
            threading.Event().wait(1.1)
            with pytest.raises(RetryLater, match="could not be renewed for 1 s"):
                check()
        server.start()


def test_a_session_that_the_server_ended_has_lost_it(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_W", database)
    run = run_of(environment.connection("w"))
    with held(wanted(connection="w"), run) as check:
        check()
        with psycopg.connect(database, autocommit=True) as session:
            session.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'shop r1'")
        with pytest.raises(RetryLater, match="is lost"):
            check()


def test_a_file_that_was_taken_away_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    with held(wanted(backend="file"), run_of()) as check:
        for file in (tmp_path / "airflow_datahub_locks").iterdir():
            file.unlink()
        with pytest.raises(RetryLater, match="taken away"):
            check()


@pytest.mark.parametrize(
    ("connections", "more", "place"),
    [
        (["redis", "store"], {"redis": "shared_redis"}, "in the Redis"),
        (["redis", "store"], {}, "in the database of connection"),
        ([], {}, "the file"),
    ],
)
def test_the_first_that_is_configured_keeps_it(
    connections: list[str], more: dict[str, str], place: str, redis: RedisServer, database: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_CONN_OWN", database)
    if "store" in connections:
        monkeypatch.setenv(f"AIRFLOW_CONN_{STORE.upper()}", database)

    run = run_of(redis.connection(), **more)
    with held(wanted(), run), pytest.raises(RetryLater, match=place), held(wanted(wait=0), run):
        pass


def test_what_cannot_keep_a_lock_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    http, away = Connection("h", "http"), Connection("r", "redis", host="127.0.0.1", port=free_port())
    with (
        pytest.raises(ConfigurationError, match="kept in redis or postgres"),
        held(wanted(connection="h"), run_of(http)),
    ):
        pass
    with pytest.raises(ConfigurationError, match="redis_conn_id"), held(wanted(backend="redis"), run_of()):
        pass
    with pytest.raises(RunFailed, match="in the Redis of connection 'r'"), held(wanted(connection="r"), run_of(away)):
        pass
    (tmp_path / "airflow_datahub_locks").write_text("")
    with pytest.raises(ConfigurationError, match="the file"), held(wanted(backend="file"), run_of()):
        pass


LOCKED = EVENTS_ALONE.replace("steps:", "lock: {name: warehouse.events, connection: warehouse, wait: 0s}\nsteps:", 1)


def test_a_pipeline_waits_for_another_deployment(world: World) -> None:
    spec = world.spec(LOCKED)
    run = run_of(environment.connection("warehouse", world.environment))
    with held(wanted("warehouse.events", connection="warehouse"), run):
        refused = world.call("run", spec)
        assert refused.returncode != 0
        assert "is held by shop r1" in refused.stderr
        assert world.count() == 0
    assert world.call("run", spec).returncode == 0
    assert world.count() == world.api.stats()["unique"]


def test_a_run_that_loses_its_lock_writes_nothing_more(world: World) -> None:
    spec = world.spec(
        LOCKED.replace("limit: 1000", "limit: 100").replace("steps:", "throughput: {batch_size: 100}\nsteps:", 1)
    )
    process = subprocess.Popen(
        world.command("run", spec), env=world.environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    while not world.count():
        pass
    world.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'datasync_events %'"
    )
    at_once = world.count()
    said = process.communicate(timeout=60)[1]
    assert process.returncode != 0
    assert "is lost" in said
    assert world.count() <= at_once + 20_000
    assert world.call("run", spec).returncode == 0
    assert world.count() == world.api.stats()["unique"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{name: a, backend: file, ttl: 3s}", "takes no `ttl`"),
        ("{name: a, backend: memory, connection: c}", "takes no `connection`"),
        ("{name: a, backend: redsi}", "redsi"),
        ("{backend: redis}", "name"),
        ("[a]", "lock"),
    ],
)
def test_a_wrong_lock_is_told_by_lint(world: World, text: str, message: str) -> None:
    said = world.call("lint", world.spec(EVENTS_ALONE.replace("steps:", f"lock: {text}\nsteps:", 1)))
    assert said.returncode == 2
    assert "datasync_events.yaml:9:" in said.stdout
    assert message in said.stdout
