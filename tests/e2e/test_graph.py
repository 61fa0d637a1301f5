"""A pipeline of several tasks in a real Airflow: branches, a gate that a person opens, and what clearing does."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.e2e.conftest import Deployment
from tests.e2e.test_airflow import until

pytestmark = pytest.mark.airflow

STAGES = ("extract-tidy-split", "clicked", "others", "together", "approve", "load", "commit")


def states(deployment: Deployment, run_id: str) -> dict[str, str | None]:
    """Of each task of the run."""
    return {task["task_id"]: task["state"] for task in deployment.airflow.tasks("graph", run_id)}


def answered(deployment: Deployment, run_id: str, option: str) -> str:
    """Say what a person says in Airflow's list of required actions until the run has ended: its state.

    Airflow (3.3.2) ends a task's process that is still there when the answer comes as one that should not run any more,
    and the next try asks again."""
    path = f"/dags/graph/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails"
    deadline = time.monotonic() + 240
    while (state := deployment.airflow.state("graph", run_id)) not in ("success", "failed"):
        assert time.monotonic() < deadline, "it never ended"
        if waits(deployment, run_id):
            time.sleep(5)
            deployment.airflow.request("PATCH", path, json={"chosen_options": [option], "params_input": {}})
        time.sleep(1)
    return state


def waits(deployment: Deployment, run_id: str) -> bool:
    """Whether the run has come to its gate."""
    return states(deployment, run_id).get("approve") == "awaiting_input"


def files(deployment: Deployment) -> list[Path]:
    """What lies between the stages."""
    folder = deployment.airflow.home / "airflow_datahub_spool" / "graph"
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_gate_that_is_refused_and_then_approved(deployment: Deployment) -> None:
    first = deployment.start("graph", "refused")
    until(lambda: waits(deployment, first), 120)
    asked = deployment.api.stats()["requests"]
    detail = deployment.airflow.get(f"/dags/graph/dagRuns/{first}/taskInstances/approve/-1/hitlDetails")
    assert detail["subject"] == "Load 20000 at most, of refused?"
    assert "20,000 records read, 0 rejected" in detail["body"]
    assert answered(deployment, first, "Refuse") == "success"
    assert [states(deployment, first)[key] for key in ("approve", "load", "commit")] == ["skipped"] * 3
    assert deployment.count("graph") == 0
    assert files(deployment), "what was read waits for the next run"

    second = deployment.start("graph", "approved")
    assert answered(deployment, second, "Approve") == "success"
    assert states(deployment, second) == dict.fromkeys(STAGES, "success")
    assert deployment.api.stats()["requests"] - asked <= 1, "what ran before the gate ran once"
    assert deployment.count("graph") == deployment.api.stats()["unique"]
    ways = deployment.query("select way, count(*) > 0 from graph group by 1 order by 1")
    assert ways == [("clicks", True), ("others", True)]
    assert files(deployment) == []


def test_clearing_a_task_in_the_middle_says_from_where_to_clear(deployment: Deployment) -> None:
    run_id = deployment.start("graph", "cleared")
    assert answered(deployment, run_id, "Approve") == "success"
    body = {"dry_run": False, "dag_run_id": run_id, "task_ids": ["clicked"], "only_failed": False}
    deployment.airflow.request("POST", "/dags/graph/clearTaskInstances", json=body)
    until(lambda: states(deployment, run_id)["clicked"] == "failed", 60)
    log = deployment.airflow.task_log("graph", run_id, "clicked", 2)
    assert "what 'extract-tidy-split' handed on is gone: the run was committed" in log
    assert deployment.count("graph") == deployment.api.stats()["unique"]
