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
MOST = 100
"""Kills of a graph at the most: a run of several stages takes longer than one of one."""
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


FEW = COUNT // 4
GRAPH = f"""
version: 1
retries: 0
throughput: {{batch_size: 100}}
steps:
  - {{key: numbers, type: extract, adapter: inline, config: {{rows: [{ROWS}]}}}}
  - {{key: check, type: transform, operators: [{{require: {{fields: [good], if: {{field: id, lt: {2 * FEW}}}}}}}]}}
  - key: split
    type: route
    match: all
    branches: {{every: {{field: id, exists: true}}, few: {{field: id, lt: {FEW}}}}}
    default: reject
  - {{key: together, type: merge}}
  - {{key: last, type: transform, operators: [{{require: {{fields: [good]}}}}]}}
  - {{key: load, type: load, adapter: postgres, config: {{connection: warehouse, table: replayed, strategy: append}}}}
edges:
  - {{from: numbers, to: check}}
  - {{from: check, to: split}}
  - {{from: split, branch: every, to: together}}
  - {{from: split, branch: few, to: together}}
  - {{from: together, to: last}}
  - {{from: last, to: load}}
"""
"""Half of them are refused in the first stage, the others in the last; a quarter takes two ways to the table."""
MENDED = "set: {field: good, value: true"


class Replays:
    """All rejects of one run, replayed with a spec that does not refuse them; again and again from the start."""

    def __init__(self, world: World, text: str = SPEC, adapter: str = "postgres"):
        self.world, text = world, text.replace("ADAPTER", adapter)
        done = world.call("run", world.spec(text, "numbers"))
        assert done.returncode == 0, done.stderr
        self.spec = world.spec(text.replace("require: {fields: [good]", MENDED), "numbers")
        self.wanted = Counter(range(COUNT)) + Counter(range(FEW if "few" in text else 0))
        assert self.states() == {"open": COUNT}

    def states(self) -> Counter[str]:
        """How many rejects are in which state."""
        with sqlite3.connect(self.world.home / "airflow_datahub.db") as store:
            return Counter(dict(store.execute("select state, count(*) from datahub_reject group by state").fetchall()))

    def killed(self, chance: random.Random, longest: float = LONGEST) -> bool:
        """Kill a replay at a random moment; whether the kill came before its end."""
        command = ("rejects", "replay", self.spec, "--resume", "replay__of_the_test")
        run = Started.at(STARTED, 1, "say", self.world.environment, self.world.home, *command)
        assert run.reached(), run.said()
        run.ended(within=chance.uniform(0, longest))
        run.signal(signal.SIGKILL)
        status = run.ended()
        assert status in (0, -signal.SIGKILL), run.said()
        doubled = self.applied() - self.wanted
        assert not doubled, f"{doubled.total()} doubled"
        if status == 0:
            self.finished()
        return status != 0

    def applied(self) -> Counter[int]:
        """The ids in the table, with how often each is there."""
        there = self.world.query("select to_regclass('replayed')")[0][0]
        return Counter(row[0] for row in self.world.query("select id from replayed")) if there else Counter()

    def finished(self) -> None:
        """All were applied, and no file is left; then from the start."""
        lost = self.wanted - self.applied()
        assert not lost, f"{lost.total()} lost"
        left = [path for path in (self.world.home / "airflow_datahub_spool").rglob("*") if path.is_file()]
        assert not left, f"{len(left)} files are left: {left[:3]}"
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


def test_killed_replays_of_a_graph_apply_each_reject_once_on_each_way(world: World) -> None:
    replays = Replays(world, GRAPH)
    again_and_again(lambda chance: replays.killed(chance, longest=1.5), seed=35, times=min(KILLS, MOST))
    replays.complete()


def test_a_twin_that_takes_the_names_apart_from_the_rows_loses(world: World) -> None:
    replays = Replays(world, adapter="tests.kill.twin:InboxApart")

    def until_it_is_seen(chance: random.Random) -> bool:
        replays.killed(chance)
        replays.complete()
        return False

    with pytest.raises(AssertionError, match=r"\d+ lost"):
        again_and_again(until_it_is_seen, seed=33, times=10)
