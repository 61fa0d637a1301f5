"""The ledger of a run that could not say how it ended is closed; nobody else's is touched, and nothing is raised."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.listeners.listener import get_listener_manager

from airflow_datahub.plugin.listener import LedgerListener
from airflow_datahub.state.store import Store


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """With three tasks of two runs under way, one of which has ended."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    opened = Store.open()
    for pipeline, run_id, task in (
        ("one", "r", "load"),
        ("two", "r", "load[3]"),
        ("one", "s", "load"),
        ("x", "r", "e"),
    ):
        opened.begin(pipeline, run_id, "abc", "manual", dag="shop", task=task)
    opened.end("x", "r", "success")
    return opened


def states(store: Store) -> dict[tuple[str, str], str]:
    """By pipeline and run."""
    return {(run.pipeline, run.run_id): run.state for run in store.runs()}


def at_once(thread: threading.Thread) -> None:
    """Start it, and wait for its end."""
    thread.start()
    thread.join(60)


def task(**changes: Any) -> Any:
    """A task instance as Airflow's server has it."""
    plain = {"dag_id": "shop", "run_id": "r", "task_id": "load", "map_index": -1, "operator": "StageOperator"}
    return SimpleNamespace(**plain | changes)


def test_a_task_that_airflow_gave_up_is_closed_and_no_other(store: Store) -> None:
    LedgerListener(at_once).on_task_instance_failed(task(map_index=3), "heartbeat lost")
    assert states(store) == {
        ("one", "r"): "running",
        ("two", "r"): "failed",
        ("one", "s"): "running",
        ("x", "r"): "success",
    }
    (closed,) = [run for run in store.runs() if run.state == "failed"]
    assert (closed.error, closed.ended_at is not None) == ("Airflow ended the task: heartbeat lost", True)


@pytest.mark.parametrize(("how", "state"), [("failed", "failed"), ("success", "interrupted")])
def test_a_run_that_is_over_leaves_nothing_running(store: Store, how: str, state: str) -> None:
    dag = SimpleNamespace(tasks=[SimpleNamespace(task_type="StageOperator")])
    getattr(LedgerListener(at_once), f"on_dag_run_{how}")(SimpleNamespace(dag_id="shop", run_id="r", dag=dag), "")
    assert states(store) == {
        ("one", "r"): state,
        ("two", "r"): state,
        ("one", "s"): "running",
        ("x", "r"): "success",
    }


def test_of_tasks_of_others_no_store_is_asked(store: Store) -> None:
    def never(thread: threading.Thread) -> None:
        raise AssertionError

    listener = LedgerListener(never)
    listener.on_task_instance_failed(task(operator="BashOperator"), "x")
    dag = SimpleNamespace(tasks=[SimpleNamespace(task_type="BashOperator")])
    listener.on_dag_run_failed(SimpleNamespace(dag_id="shop", run_id="r", dag=dag), "")


def test_a_store_out_of_reach_raises_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "file" / "below"))
    (tmp_path / "file").write_text("")
    LedgerListener(at_once).on_task_instance_failed(task(), "x")


def test_airflow_calls_it() -> None:
    manager = get_listener_manager()
    assert any(isinstance(listener, LedgerListener) for listener in manager.pm.get_plugins())
