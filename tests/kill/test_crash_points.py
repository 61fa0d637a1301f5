"""SIGKILL at each point between a request and the report of the run: 0 lost, 0 doubled, the cursor never backwards."""

from __future__ import annotations

import pytest

from tests.kill.crashing import POINTS, STARTED
from tests.kill.killing import KILLS
from tests.kill.load import APPENDING, Load
from tests.world import World

pytestmark = pytest.mark.kill

ONCE_A_RUN = {STARTED, "before ledger's end"}


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_a_point_loses_nothing_and_doubles_nothing(small_world: World, point: str) -> None:
    load = Load(small_world, APPENDING)
    load.kill_at(point, seed=len(point), furthest=1 if point in ONCE_A_RUN else 6, kills=KILLS)


def test_a_twin_that_writes_the_checkpoint_first_loses(small_world: World) -> None:
    load = Load(small_world, APPENDING.replace("adapter: postgres", "adapter: tests.kill.twin:CheckpointFirst"))
    with pytest.raises(AssertionError, match="rows and position differ"):
        load.kill_at("committed", seed=1, furthest=3, kills=10)
