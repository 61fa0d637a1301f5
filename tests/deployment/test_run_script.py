"""run-ingestion.sh against the real one-shot, API and database; only the container engine is stood in for."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from airflow_datahub.demo.mock_api import MockApi
from airflow_datahub.demo.postgres import binaries
from tests.deployment import FERNET_KEY
from tests.world import ROOT, World

HERE = Path(__file__).parent


def start(world: World, api: MockApi, **settings: str) -> subprocess.Popen[str]:
    environment = {
        **os.environ, "PATH": f"{HERE}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "WORKER": str(world.home),
        "PYTHON": sys.executable, "PSQL": str(binaries() / "psql"), "POLL_SECONDS": "0.3", "DATABASE_URL": world.dsn,
        "AIRFLOW_HOME": str(world.home), "API_BASE_URL": f"{api.url}/api/v1",
        "AIRFLOW__CORE__FERNET_KEY": FERNET_KEY, **settings,
    }  # fmt: skip
    return subprocess.Popen(
        ["sh", ROOT / "run-ingestion.sh"], cwd=world.home, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_it_follows_the_one_shot_to_the_end(world: World) -> None:
    script = start(world, world.api)
    said, errors = script.communicate(timeout=60)
    assert script.returncode == 0, errors
    unique = world.api.stats()["unique"]
    assert said.endswith(f"\nINGESTION COMPLETE!\nTotal events: {unique}\n")
    assert re.search(rf"^{unique} events, \d+/s$", said, re.MULTILINE)
    assert "ingestion complete" in (world.home / "log").read_text()
    assert (world.home / "calls").read_text().startswith("compose up --detach --build ")


def test_a_worker_that_is_killed_is_a_failure_with_diagnostics(world: World) -> None:
    with MockApi(events=10_000, latency=0.1) as slow:
        script = start(world, slow, API_PAGE_LIMIT="100", WRITE_BATCH_SIZE="100")
        deadline = time.monotonic() + 30
        while not world.count():
            assert time.monotonic() < deadline, "nothing was ever written"
            time.sleep(0.05)
        os.kill(int((world.home / "pid").read_text()), signal.SIGKILL)
        said, errors = script.communicate(timeout=30)
    assert script.returncode == 1
    assert "COMPLETE" not in said
    assert "INGESTION FAILED: the worker ended with exit code 137" in errors
    assert "assignment-ingestion of the stand-in" in errors
    assert "the last lines of assignment-ingestion" in errors


def test_a_wrong_setting_is_shown(world: World) -> None:
    script = start(world, world.api, API_MODE="live")
    _, errors = script.communicate(timeout=30)
    assert script.returncode == 1
    assert "error: DATASYNC_API_KEY is not set" in errors


def test_services_that_do_not_start_are_a_failure(world: World) -> None:
    script = start(world, world.api, UP_FAILS="1")
    _, errors = script.communicate(timeout=30)
    assert script.returncode == 1
    assert "INGESTION FAILED: the services did not start" in errors
