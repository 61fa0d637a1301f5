"""docker-compose.yaml as Compose itself reads it, the Dockerfile and the script as their linters do."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_datahub.demo.mock_api import Settings
from tests.world import ROOT

BIN = Path(sys.executable).parent
CORE = {"postgres", "redis", "init", "api-server", "scheduler", "dag-processor", "triggerer", "worker", "ingestion"}
HEARTBEAT_TIMEOUT = "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT"
NAMED = set(re.findall(r"^(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))


def compose(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    command = [BIN / "docker-compose", "-f", "docker-compose.yaml", "--env-file", ".env.example", *arguments]
    environ = {name: value for name, value in os.environ.items() if name not in NAMED}
    return subprocess.run(command, cwd=ROOT, env={**environ, **settings}, capture_output=True, text=True, timeout=60)


def read(**settings: str) -> dict[str, Any]:
    run = compose("config", "--format", "json", **{"AIRFLOW__CORE__FERNET_KEY": "k", **settings})
    assert run.returncode == 0, run.stderr
    return dict(json.loads(run.stdout))


@pytest.fixture(scope="module")
def stack() -> dict[str, Any]:
    return read()


def test_there_is_no_stack_without_a_fernet_key() -> None:
    run = compose("config", "-q")
    assert run.returncode != 0
    assert "put a Fernet key there" in run.stderr


def test_the_mock_is_there_unless_the_mode_is_live(stack: dict[str, Any]) -> None:
    assert set(stack["services"]) == CORE | {"mock-api"}
    assert set(read(API_MODE="live")["services"]) == CORE


def test_the_one_shot_is_the_one_that_was_asked_for(stack: dict[str, Any]) -> None:
    one_shot = stack["services"]["ingestion"]
    assert one_shot["container_name"] == "assignment-ingestion"
    assert list(one_shot["networks"]) == ["assignment-network"]
    assert stack["networks"]["assignment-network"]["name"] == "assignment-network"
    assert one_shot["environment"]["DATABASE_URL"].endswith("@postgres:5432/ingestion")
    assert stack["services"]["postgres"]["image"] == "postgres:16"
    assert stack["services"]["postgres"]["environment"]["POSTGRES_DB"] == "ingestion"
    assert "restart" not in one_shot


def test_the_mock_serves_where_the_one_shot_asks(stack: dict[str, Any]) -> None:
    arguments = dict(option.removeprefix("--").split("=") for option in stack["services"]["mock-api"]["command"])
    assert arguments.keys() <= Settings.__dataclass_fields__.keys()
    address = f"http://mock-api:{arguments['port']}/api/v1"
    assert stack["services"]["ingestion"]["environment"]["MOCK_API_URL"] == address == "http://mock-api:3100/api/v1"


def test_all_that_stays_has_a_health_check(stack: dict[str, Any]) -> None:
    unchecked = {name for name, service in stack["services"].items() if "healthcheck" not in service}
    assert unchecked == {"init", "ingestion"}


def test_workers_can_be_more_than_one(stack: dict[str, Any]) -> None:
    worker = stack["services"]["worker"]
    assert not worker.keys() & {"container_name", "ports"}
    assert worker["environment"]["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"


def test_the_task_of_a_dead_worker_is_missed_within_a_minute(stack: dict[str, Any]) -> None:
    """What tests/kill/test_celery.py sets, with a smaller number; scheduler and worker must agree."""
    for service in ("scheduler", "worker"):
        assert stack["services"][service]["environment"][HEARTBEAT_TIMEOUT] == "60"


@pytest.mark.parametrize("service", ["ingestion", "worker", "dag-processor"])
def test_every_setting_reaches_the_services(service: str) -> None:
    of_compose = {"POSTGRES_PASSWORD", "COMPOSE_PROFILES", "AIRFLOW__API_AUTH__JWT_SECRET"}
    of_compose |= {HEARTBEAT_TIMEOUT} if service == "ingestion" else set()
    given = {name: f"given-{name}" for name in NAMED - of_compose}
    environment = read(**given)["services"][service]["environment"]
    assert {name: environment.get(name) for name in given} == given


def test_every_setting_is_explained() -> None:
    page = (ROOT / "docs" / "deployment.md").read_text()
    assert [name for name in sorted(NAMED) if f"`{name}`" not in page] == []


@pytest.mark.parametrize(
    "linter", [["hadolint", "Dockerfile"], ["shellcheck", "-s", "sh", "run-ingestion.sh"]], ids=lambda it: str(it[0])
)
def test_linters_have_nothing_to_say(linter: list[str]) -> None:
    run = subprocess.run([BIN / linter[0], *linter[1:]], cwd=ROOT, capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "")


def test_the_image_takes_in_what_is_copied_and_runs_without_root() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    copied = {name for line in re.findall(r"^COPY (?!--from)(.*) \S+$", dockerfile, re.MULTILINE)
              for name in line.split() if not name.startswith("--")}  # fmt: skip
    allowed = set(re.findall(r"^!(.*)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    assert copied == allowed
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert dockerfile.count("\nFROM ") == 2
    assert re.findall(r"^USER (.*)$", dockerfile, re.MULTILINE) == ["50000"]
