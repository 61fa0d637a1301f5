"""A run that is asked to stop leaves within four seconds from wherever it is: 0 lost, 0 doubled, the next goes on."""

from __future__ import annotations

import json
import random
import re
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from airflow_datahub.demo.mock_api import MockApi
from tests.hostile import Hostile
from tests.kill.crashing import STARTED
from tests.kill.killing import Started
from tests.proxy import Proxy
from tests.stop.stopping import IN_TIME, STOPS, TOLERANCE, running
from tests.world import EVENTS, EVENTS_ALONE, World

pytestmark = [pytest.mark.kill, pytest.mark.timeout(300 + 20 * STOPS)]

SPEC = EVENTS_ALONE.replace("owner: data", "throughput: {batch_size: 2000}")
APPENDING = SPEC.replace("key: [id]", "key: []").replace("strategy: insert", "strategy: append")


@pytest.fixture(scope="module")
def slow_api() -> Iterator[MockApi]:
    with MockApi(events=30_000, latency=0.06) as api:
        yield api


@pytest.fixture
def slow_world(tmp_path: Path, database: str, slow_api: MockApi) -> World:
    return World(tmp_path, database, slow_api)


def run_to_its_end(world: World, *arguments: object) -> str:
    """Run the command, in a process that starts in a moment; what it said."""
    started = Started.at(STARTED, 0, "say", world.environment, world.home, "run", *arguments)
    assert started.ended() == 0, started.said()
    return started.said()


def stop_at_random(world: World, spec: Path, seed: int, finished: Callable[[], None]) -> None:
    """Stop the run until enough stops have landed after its start; what it leaves never goes back."""
    chance, landed, before = random.Random(seed), 0, 0
    for _ in range(STOPS * 10):
        with running(world, "run", spec) as run:
            if chance.random() < 0.9:
                run.wait_for("ingestion_started")
            else:
                run.wait_for_its_handler()
            time.sleep(chance.uniform(0, 1.5))
            status = run.stop(chance.choice([signal.SIGTERM, signal.SIGINT]))
            complete = "ingestion complete" in run.said  # Python itself may be ending then, and heeds nothing
            assert complete or status == 3, run.said
            assert run.seconds < IN_TIME + TOLERANCE, run.said
            started = "ingestion_started" in run.said
            assert complete or not started or "ingestion interrupted" in run.said.splitlines()[-1]
            landed += started and not complete
        assert world.count() >= before
        before = world.count()
        if complete:
            finished()
            before = 0
        if landed >= STOPS:
            print(landed, "landed")
            return
    raise AssertionError(f"only {landed} of {STOPS} stops landed")


@pytest.mark.parametrize(("text", "seed"), [(SPEC, 1), (SPEC, 2), (APPENDING, 3)], ids=["keyed", "again", "appended"])
def test_stops_at_random_lose_and_double_nothing(slow_world: World, text: str, seed: int) -> None:
    """Without a key nothing hides a page that is loaded twice."""
    spec = slow_world.spec(text)
    there = slow_world.api.stats()["events" if text is APPENDING else "unique"]

    def finished() -> None:
        assert slow_world.count() == there
        slow_world.query("truncate ingested_events; truncate _datahub_checkpoint")

    stop_at_random(slow_world, spec, seed, finished)
    assert "ingestion complete" in run_to_its_end(slow_world, spec).splitlines()[-1]
    finished()


# where everything hangs


@contextmanager
def the_store_locked(world: World) -> Iterator[dict[str, str]]:
    with closing(sqlite3.connect(world.home / "airflow_datahub.db", isolation_level=None)) as store:
        store.execute("begin exclusive")
        yield {}


@contextmanager
def the_table_locked(world: World) -> Iterator[dict[str, str]]:
    with psycopg.connect(world.dsn) as other:
        other.execute("lock table ingested_events in access exclusive mode")
        yield {}


@contextmanager
def the_checkpoint_locked(world: World) -> Iterator[dict[str, str]]:
    with psycopg.connect(world.dsn) as other:
        other.execute("select from _datahub_checkpoint for update")
        yield {}


@contextmanager
def the_catalogue_locked(world: World) -> Iterator[dict[str, str]]:
    with psycopg.connect(world.dsn) as other:
        other.execute("lock table _datahub_checkpoint in access exclusive mode")
        yield {}


@contextmanager
def a_database_that_says_nothing(world: World) -> Iterator[dict[str, str]]:
    port = conninfo_to_dict(world.dsn)["port"]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield {"AIRFLOW_CONN_WAREHOUSE": world.dsn.replace(f":{port}/", f":{silent.getsockname()[1]}/")}


def database_silent_from(mark: bytes) -> Callable[[World], object]:
    @contextmanager
    def trap(world: World) -> Iterator[dict[str, str]]:
        port = int(str(conninfo_to_dict(world.dsn)["port"]))
        with Proxy(port) as proxy:
            proxy.lose(mark, "silent")
            yield {"AIRFLOW_CONN_WAREHOUSE": world.dsn.replace(f":{port}/", f":{proxy.port}/")}

    return trap


@contextmanager
def an_api_that_says_nothing(world: World) -> Iterator[dict[str, str]]:
    with Hostile(lambda asked: [60.0]) as api:
        found = json.loads(world.environment["AIRFLOW_CONN_DATASYNC"])
        yield {"AIRFLOW_CONN_DATASYNC": json.dumps(found | {"host": f"http://127.0.0.1:{api.port}"})}


@contextmanager
def a_name_server_that_says_nothing(world: World) -> Iterator[dict[str, str]]:
    """Resolving a name cannot be cancelled: it holds a thread that Python would wait for at its end."""
    (world.home / "sitecustomize.py").write_text(
        "import socket, time\nsocket.getaddrinfo = lambda *_, **__: time.sleep(60)\n"
    )
    found = json.loads(world.environment["AIRFLOW_CONN_DATASYNC"])
    yield {
        "PYTHONPATH": f"{world.home}:{world.environment['PYTHONPATH']}",
        "AIRFLOW_CONN_DATASYNC": json.dumps(found | {"host": "http://nowhere.invalid"}),
    }


TRAPS = {
    "the store is locked at the start": (the_store_locked, None),
    "the store is locked under way": (the_store_locked, "ingestion_started"),
    "the table is locked at the start": (the_table_locked, None),
    "the table is locked under way": (the_table_locked, "ingestion_started"),
    "the checkpoint is locked": (the_checkpoint_locked, "ingestion_started"),
    "the checkpoint's table is locked": (the_catalogue_locked, None),
    "the database says nothing": (a_database_that_says_nothing, None),
    "the database falls silent in a query": (database_silent_from(b"from pg_class"), None),
    "the database falls silent in a copy": (database_silent_from(b"copy "), None),
    "the database falls silent in the upsert": (database_silent_from(b"insert into"), None),
    "the database falls silent in a commit": (database_silent_from(b"COMMIT"), None),
    "the API says nothing": (an_api_that_says_nothing, None),
    "the name server says nothing": (a_name_server_that_says_nothing, None),
}


@pytest.mark.parametrize("name", TRAPS)
def test_a_stop_where_everything_hangs(slow_world: World, name: str) -> None:
    trap, armed_by = TRAPS[name]
    spec = slow_world.spec(SPEC)
    run_to_its_end(slow_world, spec, "--limit", 3_000)
    if armed_by is None:
        with trap(slow_world) as changes, running(slow_world, "run", spec, **changes) as run:  # type: ignore[attr-defined]
            run.wait_for_its_handler()
            time.sleep(1.5)
            status = run.stop()
    else:
        with running(slow_world, "run", spec) as run:
            run.wait_for(armed_by)
            with trap(slow_world):  # type: ignore[attr-defined]
                time.sleep(1)
                status = run.stop()
    assert status == 3, run.said
    assert run.seconds < IN_TIME + TOLERANCE, run.said
    assert "ingestion interrupted" in run.said
    run_to_its_end(slow_world, spec)
    assert slow_world.count() == slow_world.api.stats()["unique"]


def test_a_twin_that_waits_for_everything_is_late(slow_world: World) -> None:
    """It is the time limit around all of it that lets go of a locked store, not luck."""
    (slow_world.home / "sitecustomize.py").write_text(
        "import airflow_datahub.engine.leaving as leaving\nleaving.LEAVE_AFTER = 60\n"
    )
    twin = {"PYTHONPATH": f"{slow_world.home}:{slow_world.environment['PYTHONPATH']}"}
    spec = slow_world.spec(SPEC)
    run_to_its_end(slow_world, spec, "--limit", 3_000)
    with the_store_locked(slow_world), running(slow_world, "run", spec, **twin) as run:
        run.wait_for_its_handler()
        time.sleep(1.5)
        run.process.send_signal(signal.SIGTERM)
        time.sleep(IN_TIME + TOLERANCE)
        assert run.process.poll() is None


def test_a_second_interrupt_ends_at_once(slow_world: World) -> None:
    spec = slow_world.spec(SPEC)
    run_to_its_end(slow_world, spec, "--limit", 3_000)
    with the_table_locked(slow_world), running(slow_world, "run", spec) as run:
        run.wait_for_its_handler()
        time.sleep(1.5)
        threading.Timer(0.5, run.process.send_signal, [signal.SIGINT]).start()
        assert run.stop(signal.SIGINT) == 3, run.said
        assert run.seconds < 2
    run_to_its_end(slow_world, spec)
    assert slow_world.count() == slow_world.api.stats()["unique"]


def test_the_last_lines_say_what_was_done_and_where_it_goes_on(slow_world: World) -> None:
    with running(slow_world, "run", EVENTS) as run:
        run.wait_for("ingestion_started")
        while not slow_world.count():
            time.sleep(0.05)
        assert run.stop() == 3
    *_, stands, last = run.said.splitlines()
    assert re.search(r"next_run_goes_on version=[\d,]+ cursor=\S+ skip=[\d,]+", stands)
    assert re.fullmatch(r"ingestion interrupted: [\d,]+ records in [\d.]+ s \([\d,]+/s\), 0 rejected", last)
    (row,) = slow_world.query("select version, cursor ->> 'at' from _datahub_checkpoint")
    assert f"version={row[0]:,} cursor={row[1]} " in stands
