"""The commands beside `run`: what they print, their exit codes, and that none imports Airflow."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from airflow_datahub import __version__
from airflow_datahub.demo.mock_api import MockApi
from tests.world import EVENTS, EVENTS_ALONE, ROOT, World

PIPELINES = EVENTS.parent


def call(*arguments: object, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "airflow_datahub.cli", *map(str, arguments)],
        cwd=ROOT, env={**os.environ, "AIRFLOW_HOME": str(home), **environment},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_lint_finds_everything_at_once(tmp_path: Path) -> None:
    text = EVENTS_ALONE.replace("http_api", "http_apy").replace("table:", "tabel:").replace("schedule", "x")
    (tmp_path / "datasync_events.yaml").write_text(text)
    lint = call("lint", tmp_path, home=tmp_path)
    assert lint.returncode == 2
    lines = lint.stdout.splitlines()
    assert any("no source 'http_apy'; did you mean 'http_api'?" in line for line in lines)
    assert any("no field 'tabel'; did you mean 'table'?" in line for line in lines)
    assert all(line.startswith(f"{tmp_path}/datasync_events.yaml:") for line in lines)


@pytest.mark.parametrize("path", ["nowhere.yaml", "."])
def test_a_path_without_specs_is_a_wrong_call(tmp_path: Path, path: str) -> None:
    assert call("lint", tmp_path / path, home=tmp_path).returncode == 2


def test_a_failing_test_of_a_spec_says_what_differs(tmp_path: Path) -> None:
    text = EVENTS.read_text().replace('timestamp: "2024-01-15T09:50:00Z"', 'timestamp: "2024-01-15T09:51:00Z"')
    (tmp_path / "datasync_events.yaml").write_text(text)
    test = call("test", tmp_path, home=tmp_path)
    assert test.returncode == 1
    assert "FAILED datasync_events: epoch milliseconds become UTC" in test.stdout
    assert '"timestamp":"2024-01-15T09:51:00Z"' in test.stdout
    assert '"timestamp":"2024-01-15T09:50:00Z"' in test.stdout
    assert "1 passed, 2 failed" in test.stdout


def test_plan_as_text_and_json(tmp_path: Path) -> None:
    assert "stage extract-tidy-load: extract → tidy → load" in call("plan", EVENTS, home=tmp_path).stdout
    assert "" not in call("plan", EVENTS, home=tmp_path).stdout.splitlines()
    plan = json.loads(call("plan", EVENTS, "--json", home=tmp_path).stdout)
    assert plan["stages"][0]["retries"] == 3


def test_plan_names_a_connection_that_takes_any_certificate(tmp_path: Path) -> None:
    extra = {"verify": False}
    connection = json.dumps({"conn_type": "http", "host": "https://api.example.com", "extra": extra})
    said = call("plan", EVENTS, home=tmp_path, AIRFLOW_CONN_DATASYNC=connection).stdout
    assert "note: extract: connection 'datasync' takes any TLS certificate" in said
    assert "certificate" not in call("plan", EVENTS, home=tmp_path).stdout


def test_the_schema_in_the_repository_is_the_one_that_is_written(tmp_path: Path) -> None:
    assert call("schema", home=tmp_path).stdout == (ROOT / "pipeline.schema.json").read_text()


def test_stubs_are_written_once_and_checked(tmp_path: Path) -> None:
    (tmp_path / "datasync_events.yaml").write_text(EVENTS.read_text())
    assert call("stubs", tmp_path, "--check", home=tmp_path).returncode == 1
    assert call("stubs", tmp_path, home=tmp_path).returncode == 0
    assert (tmp_path / "datasync_events.yaml.py").read_bytes() == (PIPELINES / "datasync_events.yaml.py").read_bytes()
    assert call("stubs", tmp_path, "--check", home=tmp_path).returncode == 0


COMMANDS = (
    ["lint", PIPELINES], ["test", PIPELINES], ["plan", EVENTS], ["schema"], ["stubs", PIPELINES, "--check"],
    ["run", PIPELINES / "try_it.yaml"], ["rejects", "list"], ["list"], ["describe", "postgres"], ["config"],
    ["preview", PIPELINES / "try_it.yaml"], ["runs", "list"],
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_no_command_imports_airflow(tmp_path: Path, command: list[object]) -> None:
    """A module of that name stands in front of the real one and breaks whoever imports it."""
    (tmp_path / "airflow.py").write_text("raise SystemExit('somebody imported Airflow')")
    run = call(*command, home=tmp_path, PYTHONPATH=str(tmp_path))
    assert run.returncode == 0, run.stdout + run.stderr


def test_sigterm_ends_a_run_cleanly_and_the_next_goes_on(tmp_path: Path, database: str) -> None:
    with MockApi(events=20_000, latency=0.1) as api:
        world = World(tmp_path, database, api)
        environment = {**os.environ, **world.environment}
        process = subprocess.Popen(
            world.command("run", EVENTS), env=environment, stderr=subprocess.PIPE, text=True, cwd=tmp_path
        )
        assert process.stderr
        assert any("ingestion_started" in line for line in iter(process.stderr.readline, ""))
        while api.stats()["served"] < 4000:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        *_, stands, last = process.stderr.read().splitlines()
        assert process.wait() == 3
        assert time.monotonic() - started < 4
        assert last.startswith("ingestion interrupted: ")
        assert re.search(r"next_run_goes_on version=[\d,]+ cursor=\S+ skip=\d+", stands)
        assert 0 < world.count() < api.stats()["unique"]
        assert world.call("run", EVENTS).returncode == 0
        assert world.count() == api.stats()["unique"]


def test_a_level_of_the_log_that_there_is_not_is_a_wrong_call(tmp_path: Path) -> None:
    for command in ("run", "checkpoint show"):
        said = call(*command.split(), PIPELINES / "try_it.yaml", home=tmp_path, LOG_LEVEL="verbose")
        assert said.returncode == 2
        assert said.stderr == "error: LOG_LEVEL 'verbose' is not one of debug, info, warning, error\n"
    assert call("run", PIPELINES / "try_it.yaml", home=tmp_path, LOG_LEVEL="ERROR").stderr == ""
    assert "complete" in call("run", PIPELINES / "try_it.yaml", home=tmp_path, LOG_LEVEL="").stderr


def test_the_version_and_the_commands(tmp_path: Path) -> None:
    said = call("--version", home=tmp_path)
    assert (said.returncode, said.stdout) == (0, f"airflow-datahub {__version__}\n")
    assert "Commands:" in call(home=tmp_path).stdout + call("--help", home=tmp_path).stdout
