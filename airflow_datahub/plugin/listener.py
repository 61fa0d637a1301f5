"""Airflow tells what became of tasks and runs; the ledger of one that could not say so itself is closed.

A task that was killed, or whose worker is gone, left its run as `running`. Airflow's scheduler and server know better;
they call from the midst of their work, so what is done here is done in a thread of its own, and never in a task.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import structlog
from airflow.listeners import hookimpl

from airflow_datahub.state import RunState

OPERATORS = frozenset(
    (
        "StageOperator",
        "PartitionOperator",
        "IngestOperator",
        "ExtractOperator",
        "TransformOperator",
        "LoadOperator",
    )
)
"""By Airflow's names of them: of the tasks of others no ledger is kept, and none need be asked for."""


class LedgerListener:
    """What Airflow calls."""

    def __init__(self, start: Callable[[threading.Thread], None] = threading.Thread.start):
        self._start = start

    @hookimpl
    def on_task_instance_failed(self, task_instance: Any, error: Any) -> None:
        """A worker lost its heartbeat or was killed, or a person failed the task."""
        if not _in_a_task(task_instance) and getattr(task_instance, "operator", None) in OPERATORS:
            from airflow_datahub.operators.handover import task_name

            task = task_name(task_instance.task_id, task_instance.map_index)
            self._close(task_instance.dag_id, task_instance.run_id, task, "failed", f"Airflow ended the task: {error}")

    @hookimpl
    def on_dag_run_failed(self, dag_run: Any, msg: str) -> None:
        """The run is over, so nothing in it runs any more."""
        self._over(dag_run, "failed")

    @hookimpl
    def on_dag_run_success(self, dag_run: Any, msg: str) -> None:
        """See on_dag_run_failed; a person may have marked it so."""
        self._over(dag_run, "interrupted")

    def _over(self, dag_run: Any, state: RunState) -> None:
        if _has_ours(dag_run):
            text = "the run ended in Airflow before the task could say how it had ended"
            self._close(dag_run.dag_id, dag_run.run_id, None, state, text)

    def _close(self, dag_id: str, run_id: str, task: str | None, state: RunState, error: str) -> None:
        named = (dag_id, run_id, task, state, error)
        self._start(threading.Thread(target=close, args=named, daemon=True, name="datahub-ledger"))


def close(dag_id: str, run_id: str, task: str | None, state: RunState, error: str) -> None:
    """Close what is still running there in the ledger. Nothing is raised: Airflow must go on."""
    log = structlog.get_logger(__name__)
    try:
        from airflow_datahub.operators.handover import open_store

        with open_store(log) as store:
            closed = store.abandon(dag_id, run_id, task, state, error)
        if closed:
            log.info("ledger_closed", dag_id=dag_id, run_id=run_id, task=task, state=state)
    except Exception as failure:
        log.warning("ledger_not_closed", dag_id=dag_id, run_id=run_id, reason=f"{type(failure).__name__}: {failure}")


def _in_a_task(task_instance: Any) -> bool:
    """Whether this is the task's own process, which writes its ledger itself."""
    return type(task_instance).__module__.startswith("airflow.sdk.")


def _has_ours(dag_run: Any) -> bool:
    dag = getattr(dag_run, "dag", None)
    return dag is None or any(task.task_type in OPERATORS for task in dag.tasks)
