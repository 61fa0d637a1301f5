"""An API with errors, latency, rate limits and poison, and kills at random: 0 lost, 0 doubled, each reject once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_datahub.demo.mock_api import MockApi
from tests.kill.killing import KILLS
from tests.kill.load import APPENDING, Load
from tests.world import World

pytestmark = pytest.mark.kill

FAULTS: dict[str, dict[str, Any]] = {
    "errors": {"errors": 0.05},
    "latency": {"latency": 0.05},
    "rate limit": {"rate_limit": 25, "rate_window": 1},
    "rate limit, by date": {"rate_limit": 25, "rate_window": 1, "retry_after": "date"},
    "poison": {"poison": 0.02},
    "all at once": {"errors": 0.03, "latency": 0.02, "rate_limit": 30, "rate_window": 1, "poison": 0.02},
}
"""`make test` takes the last, `make soak` all."""
EVENTS = 6_000
KEYED = APPENDING.replace("key: []", "key: [id]").replace("strategy: append", "strategy: insert")
"""A record without its key is poison only where there is a key."""


@pytest.mark.parametrize("faults", FAULTS if KILLS > 3 else list(FAULTS)[-1:])
def test_faults_and_kills_together(tmp_path: Path, database: str, faults: str) -> None:
    with MockApi(events=EVENTS, duplicates=0, **FAULTS[faults]) as api:
        world = World(tmp_path, database, api)
        load = Load(world, KEYED)
        load.exact = not api.poison
        load.finished = lambda: None  # type: ignore[method-assign]
        load.kill_at_random(seed=9, longest=0.6, kills=min(KILLS, 20))
        listed = world.call("rejects", "list", "--limit", "100000", "--json").stdout.splitlines()
        poisonous = api.stats()["poisonous"]
    assert len({(row["version"], row["position"]) for row in map(json.loads, listed)}) == len(listed) == poisonous
    assert sum(load.found().values()) == len(load.found()) == EVENTS - poisonous
