"""Rejects that are replayed by a run of the pipeline's DAG."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from airflow_datahub.state.store import Store
from tests.e2e.conftest import Deployment
from tests.e2e.test_airflow import until

pytestmark = pytest.mark.airflow


def command(deployment: Deployment, *arguments: object) -> str:
    """`airflow-datahub`, beside the Airflow."""
    call = [sys.executable, "-m", "airflow_datahub.cli", *map(str, arguments)]
    environment = deployment.airflow.environment()
    done = subprocess.run(call, env=environment, cwd=deployment.airflow.home, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rejects(deployment: Deployment, pipeline: str = "mended") -> list[dict[str, Any]]:
    listed = command(deployment, "rejects", "list", "--pipeline", pipeline, "--json")
    return [json.loads(line) for line in listed.splitlines()][::-1]


def runs(deployment: Deployment) -> list[str]:
    found = deployment.airflow.get("/dags/mended/dagRuns?order_by=start_date")["dag_runs"]
    return [run["dag_run_id"] for run in found]


def test_a_replay_is_a_run_of_the_dag(deployment: Deployment) -> None:
    _, state = deployment.run("mended")
    assert state == "success"
    first, second, third = (row["id"] for row in rejects(deployment))
    spec = deployment.airflow.dags / "pipelines" / "mended.yaml"

    command(deployment, "rejects", "edit", first, "--set", "amount=20")
    command(deployment, "rejects", "replay", spec, first, "--in-airflow")
    until(lambda: len(runs(deployment)) == 2, 60)
    assert deployment.airflow.wait("mended", runs(deployment)[1]) == "success"
    assert deployment.query("select id, amount from mended order by id") == [(1, 10), (2, 20)]
    assert [row["id"] for row in rejects(deployment)] == [second, third]

    # and as somebody does who triggers the DAG by hand
    _, state = deployment.run("mended", datahub_replay={"reason": "is not a number", "ids": [second]})
    assert state == "success"
    again = rejects(deployment)
    assert [row["id"] for row in again[:1]] == [third]
    assert again[1]["earlier"] == second

    run_id, state = deployment.run("mended", datahub_replay={"idss": [second]})
    assert state == "failed"
    log = deployment.airflow.task_log("mended", run_id, "extract-tidy-load", 1)
    assert "conf 'datahub_replay': Object contains unknown field `idss`" in log
    assert deployment.query("select id, amount from mended order by id") == [(1, 10), (2, 20)]


def test_of_a_graph_each_task_takes_what_enters_there(deployment: Deployment) -> None:
    _, state = deployment.run("mended_graph")
    assert state == "success"
    first, *_ = (row["id"] for row in rejects(deployment, "mended_graph"))
    command(deployment, "rejects", "edit", first, "--set", "amount=20")
    run_id, state = deployment.run("mended_graph", datahub_replay={"ids": [first], "revision": "original"})
    assert state == "success"
    tasks = deployment.airflow.get(f"/dags/mended_graph/dagRuns/{run_id}/taskInstances")["task_instances"]
    assert {task["state"] for task in tasks} == {"success"}
    for table in ("mended_once", "mended_twice"):
        assert deployment.query(f"select id, amount from {table} order by id") == [(1, 10), (2, 20)]
    assert first not in [row["id"] for row in rejects(deployment, "mended_graph")]
    with Store.open(home=deployment.airflow.home) as store:
        actor = store.audits("mended_graph", 1)[0].actor
    assert actor.endswith("(Airflow)")
