"""Several pages under way at once, answered in any order, and kills at random: 0 lost, 0 doubled (R3)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_datahub.demo.mock_api import MockApi
from tests.kill.killing import KILLS
from tests.kill.load import APPENDING, Load
from tests.proxy import Proxy
from tests.world import World, http_connection

pytestmark = pytest.mark.kill

CURSOR = "paging: {type: cursor, param: cursor, next: nextCursor, more: hasMore, limit: 300}"
OFFSET = APPENDING.replace(CURSOR, "paging: {type: offset, limit: 300}")


@pytest.fixture
def uneven(small_api: MockApi) -> Iterator[Proxy]:
    """The API behind a line where one answer overtakes another."""
    with Proxy(small_api.port) as proxy:
        proxy.delay = 0.05
        yield proxy


def test_pages_that_overtake_one_another(tmp_path: Path, database: str, small_api: MockApi, uneven: Proxy) -> None:
    world = World(tmp_path, database, small_api)
    there = {**json.loads(http_connection(small_api)), "host": f"http://127.0.0.1:{uneven.port}/api/v1"}
    world.environment["AIRFLOW_CONN_DATASYNC"] = json.dumps(there)
    load = Load(world, OFFSET)
    load.kill_at_random(seed=6, longest=0.5, kills=KILLS)
    assert uneven.connections > 1 + KILLS, "nothing was fetched at once"


def test_a_twin_that_keeps_the_highest_page_loses(small_world: World) -> None:
    config = OFFSET[OFFSET.index("    config:") : OFFSET.index("  - key: tidy")]
    spec = OFFSET.replace(config, "    config: {connection: datasync}\n")
    load = Load(small_world, spec.replace("adapter: http_api", "adapter: tests.kill.twin:HighestPage"))
    load.exact = False
    with pytest.raises(AssertionError, match="in the source"):
        load.kill_at_random(seed=8, longest=1.0, kills=60)  # it ends at the first loss
