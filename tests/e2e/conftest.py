"""One real Airflow for these tests, with its specs in its DAG folder, one of them broken."""

from __future__ import annotations

import json
import os
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Browser, sync_playwright

from airflow_datahub.demo.airflow import StandaloneAirflow
from airflow_datahub.demo.mock_api import MockApi
from airflow_datahub.demo.postgres import EmbeddedPostgres
from airflow_datahub.spec import write_stubs
from tests import windowed
from tests.docs import session
from tests.e2e import promised
from tests.hostile import Asked, Hostile, reply
from tests.windowed import Windowed
from tests.world import EVENTS, EVENTS_FIXED, ROOT, http_connection

BROKEN = """version: 1
schedul: "@daily"
steps:
  - key: extract
    type: extract
    adapter: http_apy
  - key: load
    type: load
    adapter: stdout
    config: {colour: red}
"""

TASK = "extract-tidy-load"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server"]

HOSTILE = "<img src=x onerror=alert(1)>"
ROWS = "\n".join(
    f"        - {{id: {n}, amount: n{n}, note: {HOSTILE!r}, user: {{email: ann{n}@example.com}}}}" for n in range(2, 64)
)
REJECTING = f"""version: 1
rejects: {{mask: [user.email]}}
steps:
  - key: extract
    type: extract
    adapter: inline
    config:
      rows:
        - {{id: 1, amount: 12.5}}
{ROWS}
  - key: tidy
    type: transform
    operators:
      - to_number: {{field: amount}}
  - key: load
    type: load
    adapter: postgres
    config: {{connection: warehouse, table: rejecting, key: [id]}}
"""
"""62 of its 63 records are rejected; they hold what a page must escape and mask."""


def variant(name: str, head: str = "", **changes: str) -> str:
    """The events pipeline under another name, with other words above its steps and other values in its lines."""
    text = EVENTS_FIXED.replace("id: datasync_events", f"id: {name}\n{head}")
    text = text.replace("table: ingested_events", f"table: {name}")
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return text


FIVE_DAYS = "{by: window, concurrency: 2, window: {from: 2024-01-01, to: 2024-01-06, size: 1d}}"


@dataclass
class Fails503Once:
    """An API that is out of order for its first request."""

    answered: int = 0

    def __call__(self, asked: Asked) -> bytes:
        """One page of two events, the second time."""
        self.answered += 1
        if self.answered == 1:
            return reply({"error": "out of order"}, 503)
        events = [{"id": str(n), "type": "click", "timestamp": 1705312200000} for n in range(2)]
        return reply({"data": events, "hasMore": False, "nextCursor": None})


def busy(asked: Asked) -> bytes:
    """An API that wants to be left alone for longer than a task may sleep."""
    return reply({"error": "too many requests"}, 429, retry_after="600")


@dataclass
class Deployment:
    """Airflow, what it reads from and what it writes to."""

    airflow: StandaloneAirflow
    dsn: str
    api: MockApi
    slow_api: MockApi
    windowed: Windowed

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the warehouse."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            return connection.execute(sql.encode()).fetchall()

    def count(self, table: str) -> int:
        """Rows of a table; 0 while it is not there."""
        there = self.query(f"select to_regclass('{table}')")[0][0] is not None
        return int(self.query(f"select count(*) from {table}")[0][0]) if there else 0

    def start(self, dag_id: str, run_id: str | None = None, **conf: Any) -> str:
        """Trigger a DAG; the run's id."""
        self.airflow.unpause(dag_id)
        return self.airflow.trigger(dag_id, conf, run_id)

    def run(self, dag_id: str, **conf: Any) -> tuple[str, str]:
        """Trigger a DAG and wait for its end: the run's id and state."""
        run_id = self.start(dag_id, **conf)
        return run_id, self.airflow.wait(dag_id, run_id)

    def task(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """The run's only task instance."""
        (task,) = self.airflow.tasks(dag_id, run_id)
        return task

    def log(self, dag_id: str, run_id: str, try_number: int = 1) -> str:
        """What the task logged."""
        return self.airflow.task_log(dag_id, run_id, TASK, try_number)


def write_specs(dags: Path) -> None:
    """The specs and their stubs."""
    pipelines = dags / "pipelines"
    pipelines.mkdir(parents=True)
    slow = {"connection: datasync": "connection: slow", "limit: 1000": "limit: 500"}
    small = "retry_delay: 1s\nthroughput: {batch_size: 500}"
    specs = {
        "datasync_events": EVENTS.read_text(),
        **{name: variant(name, small, **slow) for name in ("slow", "moved")},
        "failed": variant("failed", small, **slow | {"limit: 1000": "limit: 200"}),
        "flaky": variant("flaky", "retry_delay: 1s", **{"connection: datasync": "connection: flaky"}),
        "busy": variant("busy", **{"connection: datasync": "connection: busy"}),
        "made": variant("made", **{"connection: datasync": "connection: made"}),
        "traced": variant("traced"),
        "edited": promised.EDITED,
        "echoed": promised.ECHOED,
        "graph": promised.GRAPH,
        "daily": windowed.spec(FIVE_DAYS, head="retry_delay: 1s").replace("table: events", "table: daily"),
        "lost": variant("lost", **{"connection: warehouse": "connection: nowhere"}),
        "events": session.file(ROOT / "docs" / "getting-started.md", "dags/pipelines/events.yaml"),
        "rejecting": REJECTING,
        "mended": promised.MENDED,
        "mended_graph": promised.MENDED_GRAPH,
        "broken": BROKEN,
    }  # fmt: skip
    for name, text in specs.items():
        (pipelines / f"{name}.yaml").write_text(text)
    assert len(write_stubs(pipelines)) == len(specs)
    shutil.copy(ROOT / "dags" / "hand_written.py", dags)


def plain_http(server: Hostile) -> str:
    """A server of ours as an Airflow connection; the task's retries are the only ones."""
    extra = {"auth": "none", "allow_private": True, "retries": 0}
    return json.dumps({"conn_type": "http", "host": f"http://127.0.0.1:{server.port}", "extra": extra})


def registered(folder: Path) -> list[str]:
    """Where Airflow finds our entry points if this package is not installed but used from its source."""
    try:
        distribution("airflow-datahub")
        return []
    except PackageNotFoundError:
        info = folder / "airflow_datahub-0.1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: airflow-datahub\nVersion: 0.1.0\n")
        groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
        lines = [
            f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in points.items()) for group, points in groups.items()
        ]
        (info / "entry_points.txt").write_text("\n".join(lines))
        return [str(folder)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, by the path of Debian's."""
    chromium = shutil.which("chromium")
    assert chromium, "Chromium is missing: make browser"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="package")
def deployment(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """All of it, up and parsed."""
    folder = tmp_path_factory.mktemp("airflow")
    write_specs(folder / "dags")
    dsn = postgres.create_database("e2e_warehouse")
    with ExitStack() as stack:
        api = stack.enter_context(MockApi(events=20_000))
        slow = stack.enter_context(MockApi(events=6_000, latency=0.4))
        in_parts = Windowed({f"2024-01-0{day}": 3 + day for day in range(1, 6)})
        answers = (Fails503Once(), busy, in_parts)
        flaky, busy_api, parts = (stack.enter_context(Hostile(answer)) for answer in answers)
        connections = {
            "datasync": http_connection(api),
            "slow": http_connection(slow),
            "flaky": plain_http(flaky),
            "busy": plain_http(busy_api),
            "api": plain_http(parts),
            "warehouse": dsn,
        }
        environment = {
            "PYTHONPATH": os.pathsep.join([str(ROOT), *registered(folder / "installed")]),
            "AIRFLOW__CORE__AUTH_MANAGER": "tests.rights.Rights",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,viewer:viewer,stranger:viewer",
            **promised.lineage(folder / "home" / "lineage.jsonl", "traced"),
        }
        airflow = StandaloneAirflow(
            folder / "home", folder / "dags", connections=connections, environment=environment, parse_interval=600
        )
        stack.enter_context(airflow)
        quick = ("lost", "flaky", "busy", "hand_written")
        shared = ("datasync_events", "slow", "moved", "failed", "events", "rejecting")
        others = ("made", "mended", "mended_graph", "traced", "edited", "echoed", "graph", "daily")
        for dag_id in (*shared, *others, *quick):
            airflow.wait_for_dag(dag_id)
        started = Deployment(airflow, dsn, api, slow, in_parts)
        for dag_id in quick:
            started.start(dag_id, "early")  # what they wait for passes while others are tested
        yield started
