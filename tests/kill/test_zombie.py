"""A run that is frozen, passed by another, and lives on: the cursor is never behind its maximum (R2)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from signal import SIGCONT, SIGKILL

import pytest

from tests.kill.crashing import STARTED
from tests.kill.killing import LONGEST, again_and_again
from tests.kill.load import APPENDING, Load
from tests.world import World

pytestmark = pytest.mark.kill

FREE = ("before commit", "committed")
"""Points of the thread that commits, between its transactions: nobody has to wait for a lock."""
LOCKED = ("page read", "batch prepared", "copied ahead", "before upsert", "checkpoint moved")
"""Points where that thread may be in a transaction, which is frozen with its locks."""
PATIENCE = 2.0
"""Seconds that the second run is given where the first may hold locks."""
FENCED = "another writer moved the checkpoint"


def overtake(load: Load, chance: random.Random, points: Sequence[str] = FREE + LOCKED) -> bool:
    """Freeze a run at a point, let another pass it, let the first live on; whether the freeze landed."""
    point = chance.choice(points)
    frozen = load.started(point, chance.randint(1, 3), "stop", "--limit", 2400)
    if not frozen.reached():
        return load.judged(frozen)
    second = load.started(STARTED, 1, "say", "--limit", chance.randint(3000, 5000))
    second.ended(within=PATIENCE if point in LOCKED else LONGEST)
    load.look()
    frozen.signal(SIGCONT)
    if chance.random() < 0.3:
        frozen.ended(within=chance.uniform(0, 0.3))
        frozen.signal(SIGKILL)
    ended = [run.ended() for run in (frozen, second)]
    for status, run in zip(ended, (frozen, second), strict=True):
        assert status in (0, -SIGKILL) or FENCED in run.said(), run.said()
    load.look()
    return True


def test_a_zombie_moves_nothing_back(small_world: World) -> None:
    load = Load(small_world, APPENDING)
    again_and_again(lambda chance: overtake(load, chance), seed=4)
    load.complete()


def test_a_twin_without_a_fence_moves_back(small_world: World) -> None:
    load = Load(small_world, APPENDING.replace("adapter: postgres", "adapter: tests.kill.twin:NoFence"))
    load.exact = False
    load.finished = load.reset  # type: ignore[method-assign]  # what it doubles is not what is looked for
    with pytest.raises(AssertionError, match=r"Standing.* after Standing"):
        again_and_again(lambda chance: overtake(load, chance, FREE), seed=4, times=20)
