"""Real servers for the tests, each started once and ended with the session."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling

from airflow_datahub.demo.mock_api import MockApi
from airflow_datahub.demo.postgres import EmbeddedPostgres
from tests.world import World

settings.register_profile("loaded machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("loaded machine")

_numbers = itertools.count()


# The scheduler that shares tests out sees names alone, no marks.
AIRFLOW = (
    "tests/e2e/",
    "tests/kill/test_celery.py",
    "tests/dag_factory/test_dag_processor.py",
    "tests/demo/test_make_demo.py",
)


class AirflowInOneProcess(LoadFileScheduling):
    """File by file; those that start an Airflow in one process: two at once take longer than one after the other."""

    def _split_scope(self, nodeid: str) -> str:
        return "airflow" if nodeid.startswith(AIRFLOW) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """How the tests are shared out by `-n`."""
    return AirflowInOneProcess(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first, behind it the stops, which wait more than they work.

    Raises UsageError for what starts an Airflow and is not named in AIRFLOW."""
    for item in items:
        if item.get_closest_marker("airflow") and not item.nodeid.startswith(AIRFLOW):
            raise pytest.UsageError(f"{item.nodeid} is marked `airflow`: name its file in AIRFLOW of tests/conftest.py")
    items.sort(key=lambda item: (not item.nodeid.startswith(AIRFLOW), not item.nodeid.startswith("tests/stop/")))


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
