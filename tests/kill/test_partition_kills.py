"""SIGKILL at random while a source is read in windows: 0 lost, 0 doubled, each window from where it stood."""

from __future__ import annotations

import pytest

from tests.kill.killing import KILLS
from tests.kill.partitions import HOURLY, PartitionLoad
from tests.world import World

pytestmark = pytest.mark.kill


def test_kills_lose_nothing_and_double_nothing(slow_world: World) -> None:
    PartitionLoad(slow_world).kill_at_random(seed=29, longest=4.0, kills=KILLS)


@pytest.mark.parametrize("point", ["checkpoint moved", "committed"])
def test_a_kill_at_a_commit(small_world: World, point: str) -> None:
    PartitionLoad(small_world).kill_at(point, seed=31, furthest=30, kills=min(KILLS, 100))


def test_a_twin_whose_partitions_share_a_checkpoint_loses(small_world: World) -> None:
    text = HOURLY.replace("adapter: http_api", "adapter: tests.kill.twin_of_partitions:SharesOne")
    with pytest.raises(AssertionError, match="lost: in the source"):
        PartitionLoad(small_world, text, exact=False).kill_at_random(seed=29, longest=2.0, kills=3)
