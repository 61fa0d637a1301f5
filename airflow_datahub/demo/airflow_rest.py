"""The parts of Airflow's REST API (v2) that demo and tests need."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import httpx
import stamina

from airflow_datahub.errors import RunFailed

FINAL = frozenset({"success", "failed"})
HIDDEN = frozenset(("timestamp", "level", "event", "logger", "filename", "lineno"))
SAME = frozenset(("dag_id", "run_id", "task_id", "ti_id", "try_number", "map_index"))


class AirflowRest:
    """A client that logs in when it needs to; methods raise httpx.HTTPError where Airflow refuses or is not there."""

    def __init__(self, url: str, login: str, password: str):
        self.url = url
        """Without a slash at its end."""
        self.login = login
        self.password = password
        self.http = httpx.Client(base_url=url, trust_env=False, timeout=120)

    def token(self) -> str:
        """A fresh bearer token (a day)."""
        answer = self.http.post("/auth/token", json={"username": self.login, "password": self.password})
        return str(answer.raise_for_status().json()["access_token"])

    def request(self, method: str, path: str, **options: Any) -> Any:
        """The JSON of `/api/v2` + path; logs in when that is needed."""
        answer = self.http.request(method, f"/api/v2{path}", **options)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            self.http.headers["Authorization"] = f"Bearer {self.token()}"
            answer = self.http.request(method, f"/api/v2{path}", **options)
        if answer.is_error:
            message = f"{method} {path}: {answer.status_code} {answer.text[:500]}"
            raise httpx.HTTPStatusError(message, request=answer.request, response=answer)
        return answer.json()

    @stamina.retry(on=httpx.TransportError, attempts=4)
    def get(self, path: str, **query: Any) -> Any:
        """The JSON behind a path of `/api/v2`; a busy machine may need several tries."""
        return self.request("GET", path, params=query)

    def health(self) -> dict[str, Any]:
        """Status and latest heartbeat by component; needs no login."""
        return dict(self.request("GET", "/monitor/health"))

    def warm_up(self) -> None:
        """Have the API for tasks made ready now: its first request keeps the whole server busy for 5 s and more."""
        self.http.get("/execution/health", timeout=150)

    def wait_for_dag(self, dag_id: str, timeout: float = 90) -> None:
        """Wait until Airflow has parsed the DAG; RunFailed with the import errors when it has not in time."""
        deadline = time.monotonic() + timeout
        while not self.knows(dag_id):
            if time.monotonic() > deadline:
                errors = "\n".join(self.import_errors().values()) or "no import errors"
                raise RunFailed(f"Airflow did not show the DAG {dag_id} within {timeout:.0f} s:\n{errors}")
            time.sleep(0.25)

    def knows(self, dag_id: str) -> bool:
        """Whether Airflow has parsed this DAG."""
        try:
            self.get(f"/dags/{dag_id}")
        except httpx.HTTPStatusError as error:
            if error.response.status_code == httpx.codes.NOT_FOUND:
                return False
            raise
        return True

    def import_errors(self) -> dict[str, str]:
        """Tracebacks of the DAG files that failed, by file."""
        found = self.get("/importErrors", limit=100)["import_errors"]
        return {error["filename"]: error["stack_trace"] for error in found}

    def unpause(self, dag_id: str) -> None:
        """Let the DAG's runs start."""
        self.request("PATCH", f"/dags/{dag_id}", json={"is_paused": False})

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None, run_id: str | None = None) -> str:
        """Ask for a run; its id."""
        asked = {"logical_date": None, "conf": dict(conf or {}), **({"dag_run_id": run_id} if run_id else {})}
        return str(self.request("POST", f"/dags/{dag_id}/dagRuns", json=asked)["dag_run_id"])

    def state(self, dag_id: str, run_id: str) -> str:
        """queued, running, success or failed."""
        return str(self.get(f"/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def wait(self, dag_id: str, run_id: str, timeout: float = 120) -> str:
        """Wait for the run's end, success or failed; RunFailed when it has not ended in time."""
        deadline = time.monotonic() + timeout
        while (state := self.state(dag_id, run_id)) not in FINAL:
            if time.monotonic() > deadline:
                raise RunFailed(f"run {run_id} of {dag_id} is still {state} after {timeout:.0f} s")
            time.sleep(0.2)
        return state

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The run's task instances: task_id, state, try_number, map_index, duration, ..."""
        return list(self.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"])

    def task_log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1) -> str:
        """What a try of a task logged: one line an event, its fields behind it as `name=value`."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}"
        content = self.get(path, map_index=map_index, full_content=True)["content"]
        return "\n".join(line(item) for item in content)

    def close(self) -> None:
        """Give the connections back."""
        self.http.close()


def line(item: Mapping[str, Any] | str) -> str:
    """One event of a log as text, without what is the same in every line."""
    if isinstance(item, str):
        return item
    shown = [item.get("timestamp") or "", (item.get("level") or "").upper(), item.get("event", "")]
    shown += [f"{name}={value_text(value)}" for name, value in item.items() if name not in HIDDEN | SAME]
    return " ".join(part for part in shown if part)


def value_text(value: Any) -> str:
    """A field's value in a log line; of an exception's frames only its class and message."""
    if isinstance(value, list) and value and isinstance(value[0], dict) and "exc_type" in value[0]:
        return "; caused by ".join(f"{one['exc_type']}: {one['exc_value']}" for one in value)
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
