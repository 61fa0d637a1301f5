"""SIGKILL at random, and at each point between the stages of a graph: 0 lost, 0 doubled, no file left."""

from __future__ import annotations

import pytest

from tests.kill.crashing import OF_A_GRAPH
from tests.kill.graph import GRAPH, GraphLoad
from tests.kill.killing import KILLS
from tests.world import World

pytestmark = pytest.mark.kill

MOST = 100
"""Kills a case at the most: a run of several stages takes longer than one of one."""


def test_kills_lose_nothing_and_double_nothing(slow_world: World) -> None:
    GraphLoad(slow_world).kill_at_random(seed=17, longest=3.0, kills=min(KILLS + 2, MOST))


@pytest.mark.parametrize("point", OF_A_GRAPH)
def test_a_kill_between_stages_loses_nothing_and_doubles_nothing(small_world: World, point: str) -> None:
    furthest = 1 if "position" in point else 4 if point == "handed on" else 20
    GraphLoad(small_world).kill_at(point, seed=23, furthest=furthest, kills=min(KILLS, MOST))


def test_a_twin_that_moves_the_position_first_loses(small_world: World) -> None:
    text = GRAPH.replace("adapter: http_api", "adapter: tests.kill.twin_of_graph:MovesFirst")
    with pytest.raises(AssertionError, match="lost: in the source"):
        GraphLoad(small_world, text).kill_at("handed on", seed=5, furthest=4, kills=3)


def test_a_twin_that_forgets_what_was_loaded_doubles(small_world: World) -> None:
    text = GRAPH.replace("adapter: http_api", "adapter: tests.kill.twin_of_graph:ReadsAgain")
    with pytest.raises(AssertionError, match="doubled: there more than once"):
        GraphLoad(small_world, text).kill_at("loaded", seed=5, furthest=5, kills=3)
