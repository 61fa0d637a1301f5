"""SIGKILL at random while records are loaded: 0 lost, 0 doubled, the cursor never backwards."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from airflow_datahub.demo.mock_api import MockApi
from tests.kill.killing import KILLS
from tests.kill.load import APPENDING, Load, RejectingLoad
from tests.world import EVENTS_ALONE, World

pytestmark = pytest.mark.kill

INSERTING = EVENTS_ALONE.replace("owner: data", "throughput: {batch_size: 1500}")
LONGEST = 0.8
"""Seconds of work within which a kill falls; a whole load takes one and a half."""


def test_kills_lose_nothing_and_double_nothing(slow_world: World) -> None:
    load = Load(slow_world, INSERTING, exact=False)
    load.kill_at_random(seed=7, longest=LONGEST, kills=KILLS)


def test_appended_rows_are_neither_lost_nor_doubled(slow_world: World) -> None:
    load = Load(slow_world, APPENDING.replace("limit: 300", "limit: 1000"))
    load.kill_at_random(seed=11, longest=LONGEST, kills=KILLS)


def test_the_command_as_a_person_calls_it(slow_world: World) -> None:
    load = Load(slow_world, APPENDING)
    for _ in range(2):
        command = slow_world.command("run", load.spec)
        environment = {**os.environ, **slow_world.environment}
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        assert process.stderr
        while "ingestion_started" not in process.stderr.readline():
            assert process.poll() is None
        time.sleep(0.3)
        process.kill()
        process.communicate()
        load.look()
    assert slow_world.call("run", load.spec).returncode == 0
    load.look()
    load.finished()


def test_rejects_survive_kills_each_once(tmp_path: Path, database: str) -> None:
    """A record that is set aside is there once, whatever was killed in between."""
    with MockApi(events=20_000, latency=0.03, poison=0.02, duplicates=0) as api:
        load = RejectingLoad(World(tmp_path, database, api), INSERTING)
        load.kill_at_random(seed=3, longest=LONGEST, kills=KILLS)


def test_a_twin_that_writes_the_checkpoint_first_loses(slow_world: World) -> None:
    load = Load(slow_world, APPENDING.replace("adapter: postgres", "adapter: tests.kill.twin:CheckpointFirst"))
    with pytest.raises(AssertionError, match="rows and position differ"):
        load.kill_at_random(seed=5, longest=0.5, kills=20)
