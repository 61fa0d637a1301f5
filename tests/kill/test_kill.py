"""SIGKILL at random while 60,000 records are loaded: 0 lost, 0 doubled, the cursor never backwards."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_datahub.demo.mock_api import MockApi
from tests.kill.killing import KILLS, kill_again_and_again, run_and_kill
from tests.world import EVENTS_ALONE, World

pytestmark = pytest.mark.kill

SPEC = EVENTS_ALONE.replace("owner: data", "throughput: {batch_size: 2000}")
LONGEST = 1.2
"""Seconds of work within which a kill falls; a whole load takes about three."""


@pytest.fixture(scope="module")
def slow_api() -> Iterator[MockApi]:
    with MockApi(events=60_000, latency=0.03) as api:
        yield api


@pytest.fixture
def slow_world(tmp_path: Path, database: str, slow_api: MockApi) -> World:
    return World(tmp_path, database, slow_api)


class Load:
    """The load that is killed, and what must hold of it at any time."""

    def __init__(self, world: World, spec: Path):
        self.world, self.spec = world, spec
        self.before = (0, 0, 0)

    def once(self, delay: float) -> int:
        command = self.world.command("run", self.spec)
        status, said = run_and_kill(command, self.world.environment, self.world.home, "ingestion_started", delay)
        assert status <= 0, said
        return status

    def state(self) -> tuple[int, int, int]:
        """Version, position and rows."""
        if self.world.query("select to_regclass('_datahub_checkpoint')") == [(None,)]:
            return 0, 0, 0
        rows = self.world.query("select version, cursor from _datahub_checkpoint where stream = 'extract>load'")
        if not rows:
            return 0, 0, 0
        at = rows[0][1]["at"]
        return rows[0][0], offset(at) + rows[0][1]["skip"], self.world.count()

    def look(self) -> None:
        """Nothing has gone back, and no id is there twice."""
        now = self.state()
        assert now >= self.before, f"{now} after {self.before}"
        assert now[1] >= self.before[1]
        assert now[2] >= self.before[2]
        self.before = now

    def finished(self) -> None:
        """The load has come to its end: everything is there, once; then from the start again."""
        assert self.missing() == 0
        assert self.world.count() == self.world.api.stats()["unique"]
        self.reset()

    def missing(self) -> int:
        """Unique events of the API that are not in the table."""
        return self.world.api.stats()["unique"] - self.world.count()

    def reset(self) -> None:
        """Empty the table and forget the position."""
        self.world.query("truncate ingested_events")
        self.world.query("truncate _datahub_checkpoint")
        self.before = (0, 0, 0)


def offset(cursor: str | None) -> int:
    """Where a cursor of the mock API stands."""
    if cursor is None:
        return 0
    text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    return int(text.split(":")[0])


def test_kills_lose_nothing_and_double_nothing(slow_world: World) -> None:
    load = Load(slow_world, slow_world.spec(SPEC))
    kill_again_and_again(
        load.once, seed=7, longest=LONGEST, kills=KILLS, look=load.look, finished=load.finished
    )  # fmt: skip
    last = slow_world.call("run", load.spec)
    assert "ingestion complete" in last.stderr.splitlines()[-1]
    load.look()
    load.finished()


def test_appended_rows_are_neither_lost_nor_doubled(slow_world: World) -> None:
    """Without a key nothing hides a page that is loaded twice."""
    spec = slow_world.spec(SPEC.replace("key: [id]", "key: []").replace("strategy: insert", "strategy: append"))
    load = Load(slow_world, spec)
    load.finished = load.reset  # type: ignore[method-assign]
    kill_again_and_again(
        load.once, seed=11, longest=LONGEST, kills=KILLS, look=load.look, finished=load.finished
    )  # fmt: skip
    slow_world.call("run", spec)
    assert slow_world.count() == 60_000


def test_rejects_survive_kills_each_once(tmp_path: Path, database: str) -> None:
    """A record that is set aside is there once, whatever was killed in between."""
    with MockApi(events=30_000, latency=0.03, poison=0.02, duplicates=0) as api:
        load = Load(World(tmp_path, database, api), tmp_path / "datasync_events.yaml")
        load.world.spec(SPEC)
        load.finished = lambda: None  # type: ignore[method-assign]
        kill_again_and_again(load.once, seed=3, longest=0.5, kills=KILLS, look=load.look, finished=load.finished)
        load.world.call("run", load.spec)
        listed = load.world.call("rejects", "list", "--limit", "100000", "--json").stdout.splitlines()
        poisonous = api.stats()["poisonous"]
    assert len(listed) == poisonous > 0
    assert len({(row["version"], row["position"]) for row in map(json.loads, listed)}) == poisonous
    assert load.world.count() == 30_000 - poisonous


def test_a_twin_that_writes_the_checkpoint_first_loses(slow_world: World) -> None:
    load = Load(
        slow_world, slow_world.spec(SPEC.replace("adapter: postgres", "adapter: tests.kill.twin:CheckpointFirst"))
    )
    for seed in range(20):
        status = load.once(0.3 + 0.04 * seed)
        if status == 0 and load.missing():
            break
        if status == 0:
            load.reset()
    else:
        slow_world.call("run", load.spec)
    assert load.missing() > 0, "the twin lost nothing: this test would not see a loss either"
