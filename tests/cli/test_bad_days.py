"""What a database does on bad days: a full disk, a restart, an absence; clocks that differ. It ends in a row, a
retry or an error of ours."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from airflow_datahub.demo.mock_api import MockApi
from airflow_datahub.demo.postgres import EmbeddedPostgres
from tests.hostile import Asked, Hostile, reply
from tests.stop.stopping import running
from tests.world import EVENTS_ALONE, World

SMALL = EVENTS_ALONE.replace("owner: data", "throughput: {batch_size: 1000}")


@pytest.fixture(scope="module")
def slow_api() -> Iterator[MockApi]:
    with MockApi(events=20_000, latency=0.1) as api:
        yield api


def test_a_disk_that_is_full_is_named_and_the_next_run_goes_on(
    server: EmbeddedPostgres, mock_api: MockApi, tmp_path: Path
) -> None:
    world = World(tmp_path, server.create_database("full"), mock_api)
    assert world.call("run", world.spec(SMALL), "--limit", 1).returncode == 0
    world.query("truncate ingested_events")
    (name,) = world.query("select pg_relation_filepath('ingested_events')")[0]
    file = server.folder / "data" / name
    kept = file.rename(file.with_name("kept"))
    file.symlink_to("/dev/full")  # every write fails as on a full disk, for whoever opens it from now on
    full = world.call("run", world.spec(SMALL))
    file.unlink()
    kept.rename(file)
    assert full.returncode == 1
    assert "step 'load': connection 'warehouse': the server's disk is full" in full.stderr
    assert "Traceback" not in full.stderr
    assert world.count() == 0
    assert world.call("run", world.spec(SMALL)).returncode == 0
    assert world.count() >= world.api.stats()["unique"] - 1  # all but the record that was truncated away


def test_a_database_that_goes_away_for_a_while_is_waited_for(
    server: EmbeddedPostgres, slow_api: MockApi, tmp_path: Path
) -> None:
    world = World(tmp_path, server.create_database("away"), slow_api)
    with running(world, "run", world.spec(SMALL)) as run:
        run.wait_for("table_created")
        server.stop()
        time.sleep(4)
        assert run.process.poll() is None, run.said  # it waits, and has not given up
        server.start()
        assert run.process.wait(60) == 0, run.said
    assert world.count() == slow_api.stats()["unique"]


def test_a_database_that_is_away_at_the_start_is_left_to_the_retries(
    server: EmbeddedPostgres, mock_api: MockApi, tmp_path: Path
) -> None:
    world = World(tmp_path, server.create_database("gone"), mock_api)
    server.stop(signal.SIGINT)
    run = world.call("run", world.spec(SMALL))
    server.start()
    assert run.returncode == 1
    assert "step 'load': connection 'warehouse'" in run.stderr
    assert "Traceback" not in run.stderr
    assert world.call("run", world.spec(SMALL)).returncode == 0
    assert world.count() == mock_api.stats()["unique"]


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_server_whose_clock_is_an_hour_off_is_obeyed_by_its_own_clock(world: World, hours: int) -> None:
    asked_at: list[float] = []

    def answer(asked: Asked) -> bytes:
        asked_at.append(time.monotonic())
        now = datetime.now(UTC) + timedelta(hours=hours)
        if len(asked_at) == 1:
            until = format_datetime(now + timedelta(seconds=2), usegmt=True)
            return reply({}, 429, retry_after=until, date=format_datetime(now, usegmt=True))
        return reply({"data": [{"id": "1", "type": "click", "timestamp": 1705312200000}], "hasMore": False})

    with Hostile(answer) as api:
        extra = {"auth": "none", "allow_private": True}
        connection = {"conn_type": "http", "host": f"http://127.0.0.1:{api.port}", "extra": extra}
        run = world.call("run", world.spec(SMALL), AIRFLOW_CONN_DATASYNC=json.dumps(connection))
    assert run.returncode == 0, run.stderr
    assert world.count() == 1
    assert 1 < asked_at[1] - asked_at[0] < 60
