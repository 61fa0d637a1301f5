"""SIGKILL at random while rejects are replayed: each is applied once, and none is left behind."""

from __future__ import annotations

import random
import signal
import sqlite3
from collections import Counter

import pytest

from tests.kill.crashing import STARTED
from tests.kill.killing import KILLS, Started, again_and_again
from tests.world import World

pytestmark = pytest.mark.kill

COUNT = 4_000
LONGEST = 0.7
"""Seconds of work within which a kill falls; a whole replay takes one."""
ROWS = ", ".join(f"{{id: {n}}}" for n in range(COUNT))
SPEC = f"""
version: 1
retries: 0
throughput: {{batch_size: 100}}
steps:
  - {{key: numbers, type: extract, adapter: inline, config: {{rows: [{ROWS}]}}}}
  - {{key: check, type: transform, operators: [{{require: {{fields: [good]}}}}]}}
  - {{key: load, type: load, adapter: ADAPTER, config: {{connection: warehouse, table: replayed, strategy: append}}}}
"""


class Replays:
    """All rejects of one run, replayed with a spec that does not refuse them; again and again from the start."""

    def __init__(self, world: World, adapter: str = "postgres"):
        self.world, text = world, SPEC.replace("ADAPTER", adapter)
        done = world.call("run", world.spec(text, "numbers"))
        assert done.returncode == 0, done.stderr
        self.spec = world.spec(text.replace("require: {fields: [good]}", "set: {field: good, value: true}"), "numbers")
        assert self.states() == {"open": COUNT}

    def states(self) -> Counter[str]:
        """How many rejects are in which state."""
        with sqlite3.connect(self.world.home / "airflow_datahub.db") as store:
            return Counter(dict(store.execute("select state, count(*) from datahub_reject group by state").fetchall()))

    def killed(self, chance: random.Random) -> bool:
        """Kill a replay at a random moment; whether the kill came before its end."""
        command = ("rejects", "replay", self.spec, "--resume", "replay__of_the_test")
        run = Started.at(STARTED, 1, "say", self.world.environment, self.world.home, *command)
        assert run.reached(), run.said()
        run.ended(within=chance.uniform(0, LONGEST))
        run.signal(signal.SIGKILL)
        status = run.ended()
        assert status in (0, -signal.SIGKILL), run.said()
        doubled = self.applied() - Counter(range(COUNT))
        assert not doubled, f"{doubled.total()} doubled"
        if status == 0:
            self.finished()
        return status != 0

    def applied(self) -> Counter[int]:
        """The ids in the table, with how often each is there."""
        there = self.world.query("select to_regclass('replayed')")[0][0]
        return Counter(row[0] for row in self.world.query("select id from replayed")) if there else Counter()

    def finished(self) -> None:
        """All were applied; then from the start."""
        lost = Counter(range(COUNT)) - self.applied()
        assert not lost, f"{lost.total()} lost"
        assert self.states() == {"replayed": COUNT}
        self.world.query("truncate replayed; truncate _datahub_inbox")
        self.world.query("delete from _datahub_checkpoint where scope <> ''")
        with sqlite3.connect(self.world.home / "airflow_datahub.db") as store:
            store.execute("update datahub_reject set state = 'open', replay = null")

    def complete(self) -> None:
        """Let one run to its end."""
        done = self.world.call("rejects", "replay", self.spec, "--resume", "replay__of_the_test")
        assert done.returncode == 0, done.stderr
        self.finished()


def test_killed_replays_apply_each_reject_once(world: World) -> None:
    replays = Replays(world)
    again_and_again(replays.killed, seed=31, times=KILLS)
    replays.complete()


def test_a_twin_that_writes_the_checkpoint_first_loses(world: World) -> None:
    replays = Replays(world, "tests.kill.twin:CheckpointFirst")

    def until_it_is_seen(chance: random.Random) -> bool:
        return replays.killed(chance) and False

    with pytest.raises(AssertionError, match=r"\d+ (lost|doubled)|is not the batch"):
        again_and_again(until_it_is_seen, seed=33, times=10)
