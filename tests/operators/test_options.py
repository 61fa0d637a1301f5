"""Every option that the provider declares acts: it is set as a platform team sets it, and what it changes is seen."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from airflow_datahub import environment
from airflow_datahub.contract import Connection, Run, UndefinedConnection
from airflow_datahub.engine.progress import Progress
from airflow_datahub.engine.tally import Tally
from airflow_datahub.environment import OPTIONS
from airflow_datahub.errors import ConfigurationError
from airflow_datahub.operators.handover import run_of, spool_root
from airflow_datahub.provider import get_provider_info
from airflow_datahub.state.store import Store, located
from tests.operators.test_stage_operator import Silence, context, pipeline, threading

Given = Callable[[str], None]


def store_connection(given: Given, home: Path) -> None:
    """Which connection the store asks for."""
    given("elsewhere")

    def asked(connection_id: str) -> Connection:
        raise UndefinedConnection(f"asked for {connection_id}")

    with pytest.raises(UndefinedConnection, match="asked for elsewhere"):
        located(asked, home)


def encryption_key(given: Given, home: Path) -> None:
    """What is stored is not readable with another key; no key of our own is made."""
    given(Fernet.generate_key().decode())
    Store.open(home=home).close()
    assert not (home / "airflow_datahub.key").exists()


def spool(given: Given, home: Path) -> None:
    """Where tasks leave files."""
    given(str(home / "shared"))
    assert spool_root() == home / "shared"


def redis_conn_id(given: Given, home: Path) -> None:
    """Which Redis a run's adapters ask."""
    given("states")
    assert run_of(pipeline(), context(), Silence(), threading.Event()).redis == "states"


def progress_interval(given: Given, home: Path) -> None:
    """When the ledger is written while a run goes on."""
    with Store.open(home=home) as store:
        for seconds, written in (("3600", 0), ("0.1", 1)):
            given(seconds)
            told: list[object] = []
            progress = Progress(Run(pipeline="given", run_id="r", on_count=told.append), Tally(pipeline(), "r"), store)
            time.sleep(0.15)
            progress.watch(None)
            assert len(told) == written


PROOFS = {each.__name__: each for each in (store_connection, encryption_key, spool, redis_conn_id, progress_interval)}


def test_each_has_a_proof_and_is_declared_to_airflow() -> None:
    declared = get_provider_info()["config"]["airflow_datahub"]["options"]
    assert PROOFS.keys() == OPTIONS.keys() == declared.keys()


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_acts(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    PROOFS[name](lambda value: monkeypatch.setenv(f"AIRFLOW__AIRFLOW_DATAHUB__{name.upper()}", value), tmp_path)


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf", "4000", ""])
def test_an_interval_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"progress_interval is .*: write seconds from 0.1 to 3600"):
        environment.progress_interval({"AIRFLOW__AIRFLOW_DATAHUB__PROGRESS_INTERVAL": text})
