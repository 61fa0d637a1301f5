"""Pipelines in a real Airflow, from a real HTTP API into a real PostgreSQL."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import TASK, Deployment
from tests.world import EVENTS

pytestmark = pytest.mark.airflow

UNDER_WAY = (None, "scheduled", "queued", "running")


def until(so: Callable[[], Any], timeout: float = 30) -> Any:
    """Wait until something is so; what it is."""
    deadline = time.monotonic() + timeout
    while not (found := so()):
        assert time.monotonic() < deadline, "it never became so"
        time.sleep(0.1)
    return found


def test_a_broken_spec_hurts_only_itself_and_its_problems_end_the_import_error(deployment: Deployment) -> None:
    errors = until(deployment.airflow.import_errors)
    (text,) = errors.values()
    assert next(iter(errors)).endswith("pipelines/broken.yaml.py")
    title, *lines = text.rstrip().splitlines()[text.rstrip().splitlines().index(last_title(text)) :]
    assert title.endswith("SpecError: 3 problems in pipelines/broken.yaml")
    assert [line.split(": ")[0] for line in lines] == [
        "pipelines/broken.yaml:2:1",
        "pipelines/broken.yaml:6:14",
        "pipelines/broken.yaml:10:14",
    ]
    assert "did you mean 'schedule'?" in lines[0]
    assert "did you mean 'http_api'?" in lines[1]


def last_title(text: str) -> str:
    """The line of a traceback that begins with the exception's class."""
    return next(line for line in reversed(text.splitlines()) if line.startswith("airflow_datahub.errors."))


def test_a_run_brings_everything_and_a_second_one_nothing_new(deployment: Deployment) -> None:
    unique = deployment.api.stats()["unique"]
    first, state = deployment.run("datasync_events")
    log = deployment.log("datasync_events", first)
    assert state == "success", log
    assert deployment.count("ingested_events") == unique
    assert re.search(r"INFO ingestion complete: 20,000 records in [\d.]+ s \([\d,]+/s\), 0 rejected", log)
    assert deployment.api.api_key not in log
    second, state = deployment.run("datasync_events")
    assert state == "success"
    assert records(deployment.log("datasync_events", second)) == 0
    assert deployment.count("ingested_events") == unique


def test_the_pipeline_of_getting_started_runs(deployment: Deployment) -> None:
    _, state = deployment.run("events")
    assert state == "success"
    assert 0 < deployment.count("events") < deployment.api.stats()["unique"]  # who leaves is left out


def test_airflow_shows_pages_rendered_fields_result_and_asset(deployment: Deployment) -> None:
    run_id, state = deployment.run("datasync_events", since="2026-01-01T06:00:00Z")
    assert state == "success"
    airflow, of_run = deployment.airflow, f"/dags/datasync_events/dagRuns/{run_id}/taskInstances/{TASK}"
    assert EVENTS.read_text().strip() in airflow.get("/dags/datasync_events/details")["doc_md"]
    assert "- parse_date: {field: timestamp}" in airflow.get(f"/dags/datasync_events/tasks/{TASK}")["doc_md"]
    shown = airflow.get(of_run)["rendered_fields"]["templated"]
    assert shown == {"extract.path": "/events", "extract.query": {"since": "2026-01-01T06:00:00Z"}}
    assert airflow.get(f"{of_run}/xcomEntries/return_value")["value"]["rejected"] == 0
    events = airflow.get("/assets/events", source_dag_id="datasync_events", source_run_id=run_id)["asset_events"]
    assert [(event["name"], event["uri"]) for event in events] == [
        ("warehouse/public.ingested_events", "airflow-datahub://warehouse/public/ingested_events")
    ]


def test_a_param_of_the_wrong_type_is_refused_and_of_the_wrong_format_fails_at_once(deployment: Deployment) -> None:
    with pytest.raises(httpx.HTTPStatusError, match=r"400 .*since"):
        deployment.airflow.trigger("datasync_events", {"since": 5})
    run_id, state = deployment.run("datasync_events", since="junk")
    assert (state, deployment.task("datasync_events", run_id)["try_number"]) == ("failed", 1)
    assert "param 'since' of pipeline 'datasync_events' wants" in deployment.log("datasync_events", run_id)


def test_a_missing_connection_fails_at_once_and_is_named(deployment: Deployment) -> None:
    assert deployment.airflow.wait("lost", "early") == "failed"
    assert deployment.task("lost", "early")["try_number"] == 1
    log = deployment.log("lost", "early")
    assert "pipeline 'lost', step 'load': connection 'nowhere' is not defined" in log


def test_an_api_out_of_order_is_asked_again_by_the_next_try(deployment: Deployment) -> None:
    assert deployment.airflow.wait("flaky", "early") == "success"
    assert deployment.task("flaky", "early")["try_number"] == 2
    assert re.search(r"pipeline 'flaky', step 'extract': .*503", deployment.log("flaky", "early", 1))
    assert deployment.count("flaky") == 2


def test_an_api_that_wants_to_be_left_alone_is_put_off_without_using_up_a_try(deployment: Deployment) -> None:
    task = until(lambda: (found := deployment.task("busy", "early"))["state"] not in UNDER_WAY and found)
    assert (task["state"], task["try_number"]) == ("up_for_reschedule", 1)
    assert "the next try is in 600 s" in deployment.log("busy", "early")


def test_a_hand_written_dag_of_all_operators_between_functions(deployment: Deployment) -> None:
    assert deployment.airflow.wait("hand_written", "early", 240) == "success"
    assert deployment.count("hand_written") == deployment.api.stats()["unique"]
    assert deployment.query("select name from origins") == [("the DataSync API",)]
    result = "/dags/hand_written/dagRuns/early/taskInstances/report/xcomEntries/return_value"
    assert deployment.airflow.get(result)["value"] == "20000 records, 0 rejected"


def test_airflow_knows_the_provider_and_the_plugin(deployment: Deployment) -> None:
    providers = {provider["package_name"] for provider in deployment.airflow.get("/providers")["providers"]}
    plugins = {plugin["name"] for plugin in deployment.airflow.get("/plugins")["plugins"]}
    assert "airflow-datahub" in providers
    assert "airflow_datahub" in plugins


def test_a_killed_task_goes_on_where_it_was_and_a_second_run_waits_for_it(deployment: Deployment) -> None:
    airflow = deployment.airflow
    first, second = (deployment.start("slow", run_id) for run_id in ("first", "second"))
    until(lambda: deployment.count("slow") >= 1_000)
    assert airflow.state("slow", second) == "queued"
    os.kill(deployment.task("slow", first)["pid"], signal.SIGKILL)
    killed_at = deployment.count("slow")
    assert airflow.wait("slow", first) == "success"
    assert deployment.task("slow", first)["try_number"] == 2
    assert killed_at < deployment.count("slow") == deployment.slow_api.stats()["unique"]
    assert 0 < records(deployment.log("slow", first, 2)) <= 5_000  # of 6,000
    assert airflow.wait("slow", second) == "success"
    assert records(deployment.log("slow", second)) == 0


def records(log: str) -> int:
    """What the last line of a try says it read."""
    return int(re.findall(r"ingestion complete: ([\d,]+) records", log)[-1].replace(",", ""))


def test_a_task_that_a_deployment_stops_goes_on_by_itself_without_using_up_a_try(deployment: Deployment) -> None:
    """SIGTERM to the process above the task is what a worker gets whose pod is moved; it hands the signal on."""
    airflow = deployment.airflow
    run_id = deployment.start("moved", "moved")
    until(lambda: deployment.count("moved") >= 1_000)
    os.kill(parent(deployment.task("moved", run_id)["pid"]), signal.SIGTERM)
    states = {task["state"]: task["try_number"] for task in seen(deployment, "moved", run_id, "up_for_reschedule")}
    assert states["up_for_reschedule"] == 1
    stopped_at = deployment.count("moved")
    assert airflow.wait("moved", run_id) == "success"
    assert deployment.task("moved", run_id)["try_number"] == 1
    assert stopped_at < deployment.count("moved") == deployment.slow_api.stats()["unique"]
    log = deployment.log("moved", run_id)
    assert "ingestion interrupted: " in log
    assert "next_run_goes_on version=" in log
    assert "goes_on=by itself" in log


def test_a_task_that_a_person_fails_stays_failed_and_the_next_run_goes_on(deployment: Deployment) -> None:
    airflow = deployment.airflow
    run_id = deployment.start("failed", "by-hand")
    until(lambda: deployment.count("failed") >= 1_000)
    pid = deployment.task("failed", run_id)["pid"]
    airflow.request("PATCH", f"/dags/failed/dagRuns/{run_id}", json={"state": "failed"})
    until(lambda: not alive(pid))
    time.sleep(2)  # whoever would take it up again does so at once
    task = deployment.task("failed", run_id)
    assert (airflow.state("failed", run_id), task["state"], task["try_number"]) == ("failed", "failed", 1)
    log = deployment.log("failed", run_id)
    assert "ingestion interrupted: " in log
    assert "Failed to report terminal task state" not in log
    (cursor,) = deployment.query("select version from _datahub_checkpoint where pipeline = 'failed'")
    before = deployment.count("failed")
    assert before < deployment.slow_api.stats()["unique"]
    _, state = deployment.run("failed")
    assert state == "success"
    assert deployment.count("failed") == deployment.slow_api.stats()["unique"]
    assert deployment.query("select version from _datahub_checkpoint where pipeline = 'failed'") > [cursor]


def seen(deployment: Deployment, dag_id: str, run_id: str, state: str) -> list[dict[str, Any]]:
    """The run's task at every look until it has that state."""
    looks: list[dict[str, Any]] = []

    def look() -> bool:
        looks.append(deployment.task(dag_id, run_id))
        return looks[-1]["state"] == state

    until(look)
    return looks


def parent(pid: int) -> int:
    """The process above another."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("PPid:"))
    return int(line.split()[1])


def alive(pid: int) -> bool:
    """Whether a process is there."""
    return Path(f"/proc/{pid}").exists()
