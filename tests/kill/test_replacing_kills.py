"""SIGKILL while a table is replaced: its rows are all of the old or all of the new, and a later run brings all."""

from __future__ import annotations

import pytest

from tests.kill.crashing import OF_A_SWAP
from tests.kill.killing import KILLS
from tests.kill.load import APPENDING, Load
from tests.world import World

pytestmark = pytest.mark.kill

REPLACING = APPENDING.replace("strategy: append", "strategy: replace")
OLD, NEW = 9_000, 12_000


class Replacing(Load):
    """A table of 9,000 old rows that is replaced."""

    def __init__(self, world: World, text: str):
        super().__init__(world, text)
        self.whole = (0, NEW)
        self.complete()
        self.whole = (OLD, NEW)

    def look(self) -> None:
        """The version has not gone back, and the rows are whole."""
        now = self.standing()
        assert now.version >= self.before.version, f"{now} after {self.before}"
        assert now.rows in self.whole, f"{now}: half of the rows"
        self.before = now

    def reset(self) -> None:
        """Put the old rows back."""
        self.world.query(
            f"delete from ingested_events where ctid not in (select ctid from ingested_events limit {OLD})"
        )


@pytest.mark.parametrize("point", ["after upsert", "committed", *OF_A_SWAP])
def test_a_kill_at_a_point_never_shows_half(small_world: World, point: str) -> None:
    load = Replacing(small_world, REPLACING)
    load.kill_at(point, seed=len(point), furthest=1 if point in OF_A_SWAP else 6, kills=KILLS)
    assert small_world.query("select count(*) from pg_class where starts_with(relname, '_datahub_new_')") == [(0,)]


def test_a_twin_that_swaps_in_two_transactions_shows_half(small_world: World) -> None:
    load = Replacing(small_world, REPLACING.replace("adapter: postgres", "adapter: tests.kill.twin:HalfSwapped"))
    with pytest.raises(AssertionError, match="half of the rows"):
        load.kill_at("before swap", seed=1, furthest=1, kills=1)
