"""The store on both of its databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from airflow_datahub.environment import connection
from airflow_datahub.state.store import Store

Opener = Callable[[], Store]


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine's own settings."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "home"))
    for name in ("AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__AIRFLOW_DATAHUB__ENCRYPTION_KEY", "AIRFLOW_CONN_DATAHUB_STORE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def shared(database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an empty PostgreSQL database that the store is to be in."""
    monkeypatch.setenv("AIRFLOW_CONN_DATAHUB_STORE", database)
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", Fernet.generate_key().decode())
    return database


@pytest.fixture(params=["sqlite", "postgres"])
def opener(request: pytest.FixtureRequest) -> Opener:
    """Opens the test's own store, once more each time."""
    if request.param == "postgres":
        request.getfixturevalue("shared")
    return lambda: Store.open(connection)


@pytest.fixture
def store(opener: Opener) -> Iterator[Store]:
    """A fresh store."""
    with opener() as opened:
        yield opened
