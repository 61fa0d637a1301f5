"""PostgreSQL crashes in the middle of COPY, of the upsert, and between the two: the run goes on, 0 lost, 0 doubled."""

from __future__ import annotations

import itertools
import random
import time
from pathlib import Path
from signal import SIGQUIT

import pytest

from airflow_datahub.demo.mock_api import MockApi
from airflow_datahub.demo.postgres import EmbeddedPostgres
from tests.kill.crashing import What
from tests.kill.killing import again_and_again
from tests.kill.load import APPENDING, Load
from tests.world import World

pytestmark = pytest.mark.kill

MOMENTS: dict[str, tuple[str, What]] = {
    "in COPY": ("in COPY", "wait"),
    "between": ("copied ahead", "wait"),
    "before upsert": ("before upsert", "wait"),
    "in upsert": ("before upsert", "say"),
}
SLOW = 0.15
"""Seconds that each upsert is made to take."""

_numbers = itertools.count()


@pytest.fixture
def world(tmp_path: Path, server: EmbeddedPostgres, small_api: MockApi) -> World:
    return World(tmp_path, server.create_database(f"crash_{next(_numbers)}"), small_api)


def crash(load: Load, server: EmbeddedPostgres, moment: str, chance: random.Random) -> bool:
    """Crash the server (`-m immediate`) in a run, which goes on when the server is back; whether it got there."""
    point, what = MOMENTS[moment]
    run = load.started(point, chance.randint(1, 8), what)
    landed = run.reached()
    if landed:
        time.sleep(chance.uniform(0, SLOW) if what == "say" else 0)
        server.stop(SIGQUIT)
        if what == "wait":
            run.go_on()
        server.start()
    load.survived(run)
    return landed


def make_slow(world: World) -> None:
    """Each statement that writes to the table takes its time, with its rows written and not committed."""
    world.query(
        "create function wait() returns trigger language plpgsql as"
        f" 'begin perform pg_sleep({SLOW}); return null; end';"
        "create trigger slow after insert on ingested_events for each statement execute function wait()"
    )


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_crash_of_the_server_loses_nothing_and_doubles_nothing(
    world: World, server: EmbeddedPostgres, moment: str
) -> None:
    load = Load(world, APPENDING)
    if moment == "in upsert":
        load.complete()
        make_slow(world)
    again_and_again(lambda chance: crash(load, server, moment, chance), seed=len(moment))


def test_a_twin_that_trusts_its_stages_loses(world: World, server: EmbeddedPostgres) -> None:
    load = Load(world, APPENDING.replace("adapter: postgres", "adapter: tests.kill.twin:UncountedStage"))
    with pytest.raises(AssertionError, match="rows and position differ"):
        again_and_again(lambda chance: crash(load, server, "between", chance), seed=1, times=10)
