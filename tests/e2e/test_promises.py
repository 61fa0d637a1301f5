"""What is promised of a run, seen where Airflow's own parts take turns: a later try, a connection, a log, an event."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from airflow_datahub.hooks.form import LABELS
from tests.e2e.conftest import TASK, Deployment
from tests.e2e.promised import AFTER, BEFORE, SECRET, SHOWN, Echoing, Halting
from tests.e2e.test_airflow import records, until
from tests.e2e.test_pages import asked
from tests.hostile import Asked, Hostile

pytestmark = pytest.mark.airflow

PAGES = (
    ("ledger", "/api", "ledger"), ("page of the ledger", "", "ledger"),
    ("rejects", "/api", "rejects"), ("page of rejects", "", "rejects"),
)  # fmt: skip


@contextmanager
def kept(deployment: Deployment, connection_id: str, extra: Mapping[str, Any], **fields: Any) -> Iterator[None]:
    """A connection as the form leaves it: in Airflow's database, with null for each field that nobody touched."""
    airflow = deployment.airflow
    assert connection_id not in airflow.connections
    shown = json.dumps({**dict.fromkeys(LABELS), "verify": True, "allow_private": True, **extra})
    given = {"connection_id": connection_id, "conn_type": "http-api", "extra": shown, **fields}
    airflow.request("POST", "/connections", json=given)
    try:
        yield
    finally:
        airflow.http.delete(f"/api/v2/connections/{connection_id}").raise_for_status()


@contextmanager
def served(deployment: Deployment, connection_id: str, answer: Callable[[Asked], bytes]) -> Iterator[None]:
    """An API of ours behind a connection; the task's retries are the only ones."""
    with Hostile(answer) as server:
        host = f"http://127.0.0.1:{server.port}"
        with kept(deployment, connection_id, {"auth": "bearer", "retries": 0}, host=host, password=SECRET):
            yield


def test_a_run_ends_with_the_spec_that_it_began_with_and_the_next_one_has_the_new_one(deployment: Deployment) -> None:
    api, spec = Halting(), deployment.airflow.dags / "pipelines" / "edited.yaml"
    with served(deployment, "edited", api):
        first = deployment.start("edited", "first")
        until(lambda: deployment.count("edited") == 2, 60)
        spec.write_text(spec.read_text().replace(BEFORE, AFTER))
        api.released.set()
        assert deployment.airflow.wait("edited", first) == "success"
        assert deployment.task("edited", first)["try_number"] == 2
        assert words(deployment) == [(n, BEFORE) for n in range(4)]
        assert "spec_changed_since_the_run_began" in deployment.log("edited", first, 2)
        api.end = 6
        second, state = deployment.run("edited")
    assert state == "success"
    assert words(deployment) == [(n, BEFORE) for n in range(4)] + [(n, AFTER) for n in (4, 5)]
    assert "spec_changed" not in deployment.log("edited", second)


def words(deployment: Deployment) -> list[tuple[Any, ...]]:
    """What each row says."""
    return deployment.query("select id, word from edited order by id")


def test_a_run_over_a_connection_that_a_person_made_in_airflow(deployment: Deployment) -> None:
    api = deployment.api
    extra = {"auth": "api_key", "header": "X-API-Key", "timeout": 20}
    address = {"host": "http://127.0.0.1/api/v1", "port": api.port, "password": api.api_key}
    with kept(deployment, "made", extra, **address):
        run_id, state = deployment.run("made")
    log = deployment.log("made", run_id)
    assert state == "success", log
    assert records(log) == 20_000
    assert deployment.count("made") == api.stats()["unique"]


def test_no_secret_that_an_api_throws_back_is_shown_or_kept_by_airflow(deployment: Deployment) -> None:
    with served(deployment, "echoed", Echoing()):
        runs = [deployment.run("echoed") for _ in range(2)]
        refused, rejecting = (shown(deployment, "echoed", run_id) for run_id, _ in runs)
        files = holding(deployment.airflow.home)
    assert [state for _, state in runs] == ["failed", "success"]
    assert f"neither a JSON object nor a list (status 200, content type 'not given'): {thrown_back()}" in refused["log"]
    assert json.loads(refused["xcoms"]) == {}
    assert set(json.loads(rejecting["xcoms"])) == {"return_value"}
    assert json.loads(rejecting["rejects"])["groups"][0]["count"] == 1 + len(SHOWN)
    assert [where for seen in (refused, rejecting) for where in seen if holds(seen[where])] == []
    assert files == [], "Airflow's database, our store and all logs are there"


def thrown_back() -> str:
    """What is left to be seen of the secret, so that it must have been there."""
    return repr(" ".join(["***"] * (1 + len(SHOWN))))


def holds(text: str) -> bool:
    """Whether the secret stands in a text."""
    return any(form in text for form in SHOWN)


def shown(deployment: Deployment, dag_id: str, run_id: str) -> dict[str, str]:
    """What a person is shown of a run with one task of one try."""
    airflow, pages = deployment.airflow, f"/dags/{dag_id}/runs/{quote(run_id, safe='')}"
    task = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{TASK}"
    xcoms = [entry["key"] for entry in airflow.get(f"{task}/xcomEntries")["xcom_entries"]]
    got = {
        "xcoms": {key: airflow.get(f"{task}/xcomEntries/{key}") for key in xcoms},
        "log": airflow.get(f"{task}/logs/1", full_content=True),
        "task and rendered fields": airflow.get(task),
    }
    paths = {name: f"{kind}{pages}/{page}" for name, kind, page in PAGES}
    texts = {name: asked(deployment, path).raise_for_status().text for name, path in paths.items()}
    return {name: json.dumps(found) for name, found in got.items()} | texts


def holding(folder: Path) -> list[Path]:
    """Files that hold the secret."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"airflow.db", "scheduler.log"}
    return [path for path in files if holds(path.read_bytes().decode("latin-1"))]


def test_openlineage_is_told_where_a_task_has_read_and_written(deployment: Deployment) -> None:
    run_id, state = deployment.run("traced")
    assert state == "success"
    event = until(lambda: completed(deployment.airflow.home / "lineage.jsonl", f"traced.{TASK}"))
    (source,), (target,) = event["inputs"], event["outputs"]
    server, _, database = deployment.dsn.rpartition("@")[2].partition("/")
    assert (source["namespace"], source["name"]) == (deployment.api.url, "/api/v1/events")
    assert (target["namespace"], target["name"]) == (f"postgres://{server}", f"{database}.public.traced")
    assert source["inputFacets"]["inputStatistics"]["rowCount"] == 20_000
    assert target["outputFacets"]["outputStatistics"]["rowCount"] == deployment.count("traced")
    assert event["run"]["facets"]["airflow"]["dagRun"]["run_id"] == run_id
    assert deployment.api.api_key not in json.dumps(event)


def completed(events: Path, job: str) -> dict[str, Any] | None:
    """The event of a job's end, once it is there whole."""
    text = events.read_text() if events.exists() else ""
    found = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
    ends = [event for event in found if (event["eventType"], event["job"]["name"]) == ("COMPLETE", job)]
    return ends[0] if ends else None
