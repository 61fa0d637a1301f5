"""An API with errors, latency, rate limits and poison, and kills at random: 0 lost, 0 doubled, each reject once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_datahub.demo.mock_api import MockApi
from tests.kill.killing import KILLS
from tests.kill.load import APPENDING, RejectingLoad
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
        load = RejectingLoad(World(tmp_path, database, api), KEYED)
        load.kill_at_random(seed=9, longest=0.6, kills=KILLS)


def test_a_twin_that_takes_an_error_for_the_end_loses(tmp_path: Path, database: str) -> None:
    with MockApi(events=EVENTS, duplicates=0, **FAULTS["errors"]) as api:
        config = KEYED[KEYED.index("    config:") : KEYED.index("  - key: tidy")]
        spec = KEYED.replace(config, "    config: {connection: datasync}\n")
        spec = spec.replace("adapter: http_api", "adapter: tests.kill.twin:ErrorIsEnd")
        load = RejectingLoad(World(tmp_path, database, api), spec)
        load.exact = False
        with pytest.raises(AssertionError, match="lost: in the source"):
            load.kill_at_random(seed=9, longest=0.6, kills=30)


def test_a_twin_that_opens_rejects_before_the_commit_doubles_them(tmp_path: Path, database: str) -> None:
    with MockApi(events=EVENTS, duplicates=0, **FAULTS["poison"]) as api:
        spec = KEYED.replace("adapter: postgres", "adapter: tests.kill.twin:RejectsFirst")
        load = RejectingLoad(World(tmp_path, database, api), spec)
        with pytest.raises(AssertionError, match="rejects doubled"):
            load.kill_at("rejects stored", seed=1, furthest=3, kills=10)
