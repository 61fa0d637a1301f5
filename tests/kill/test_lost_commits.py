"""Commits that are lost on their way, and answers to commits that are: the run goes on, 0 lost, 0 doubled (R9)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg import conninfo

from airflow_datahub.demo.mock_api import MockApi
from tests.kill.crashing import STARTED
from tests.kill.killing import again_and_again
from tests.kill.load import APPENDING, Load
from tests.proxy import How, Proxy
from tests.world import World

pytestmark = pytest.mark.kill


@pytest.fixture
def proxy(database: str) -> Iterator[Proxy]:
    with Proxy(int(str(conninfo.conninfo_to_dict(database)["port"]))) as proxy:
        yield proxy


@pytest.mark.parametrize("how", ["before", "after"])
def test_a_lost_commit_loses_nothing_and_doubles_nothing(
    tmp_path: Path, database: str, small_api: MockApi, proxy: Proxy, how: How
) -> None:
    address = conninfo.conninfo_to_dict(database)
    through = f"postgresql://postgres:{address['password']}@127.0.0.1:{proxy.port}/{address['dbname']}"
    load = Load(World(tmp_path, database, small_api, {"AIRFLOW_CONN_WAREHOUSE": through}), APPENDING)

    def once(chance: random.Random) -> bool:
        loss = proxy.lose(b"COMMIT", how, nth=chance.randint(1, 20))
        load.survived(load.started(STARTED, 1, "say"))
        return loss.happened.is_set()

    again_and_again(once, seed=2)
