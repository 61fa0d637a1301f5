"""APIs for the loads that are killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_datahub.demo.mock_api import MockApi
from tests.world import World


@pytest.fixture(scope="session")
def small_api() -> Iterator[MockApi]:
    """12,000 events, none twice."""
    with MockApi(events=12_000, duplicates=0) as api:
        yield api


@pytest.fixture(scope="session")
def slow_api() -> Iterator[MockApi]:
    """30,000 events, some of them twice; an answer takes its time, so that kills at random fall into the work."""
    with MockApi(events=30_000, latency=0.03) as api:
        yield api


@pytest.fixture
def small_world(tmp_path: Path, database: str, small_api: MockApi) -> World:
    return World(tmp_path, database, small_api)


@pytest.fixture
def slow_world(tmp_path: Path, database: str, slow_api: MockApi) -> World:
    return World(tmp_path, database, slow_api)
