"""Real servers for the tests, each started once and ended with the session."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from airflow_datahub.demo.mock_api import MockApi
from airflow_datahub.demo.postgres import EmbeddedPostgres
from tests.world import World

settings.register_profile("loaded machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("loaded machine")

_numbers = itertools.count()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What starts an Airflow first, and in one process: two at once take longer than one after the other."""
    for item in items:
        group = "airflow" if item.get_closest_marker("airflow") else item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: item.get_closest_marker("airflow") is None)


def _started() -> Iterator[EmbeddedPostgres]:
    with tempfile.TemporaryDirectory(prefix="datahub-postgres-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)  # root drops to another user, who must reach it
        with EmbeddedPostgres(Path(folder, "server"), durable=False) as server:
            yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL server of our own."""
    yield from _started()


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    """Another one, of one module alone: to be crashed, stopped or filled."""
    yield from _started()


@pytest.fixture
def database(postgres: EmbeddedPostgres) -> str:
    """The address of a fresh, empty database."""
    return postgres.create_database(f"test_{os.getpid()}_{next(_numbers)}")


@pytest.fixture(scope="session")
def mock_api() -> Iterator[MockApi]:
    """10,000 events with repeats; no faults."""
    with MockApi(events=10_000) as api:
        yield api


@pytest.fixture
def world(tmp_path: Path, database: str, mock_api: MockApi) -> World:
    """The events pipeline's world: a home, a database, the mock API."""
    return World(tmp_path, database, mock_api)
