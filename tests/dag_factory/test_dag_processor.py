"""Specs through Airflow's own dag-processor, by the bundle; `DATAHUB_SPECS=200` makes it many."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from bench.parsing import write_specs
from tests.world import ROOT

pytestmark = pytest.mark.airflow


SPECS = int(os.environ.get("DATAHUB_SPECS", "20"))


def airflow(home: Path, *command: str) -> float:
    """Run Airflow's command to its end with the bundle configured; the CPU seconds that it used."""
    bundle = {
        "name": "pipelines",
        "classpath": "airflow_datahub.dag_factory.bundle.SpecBundle",
        "kwargs": {"path": str(home / "pipelines")},
    }
    environment = {
        "PYTHONPATH": str(ROOT),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db?timeout=60",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle]),
    }
    before = os.times()
    run = subprocess.run(
        [sys.executable, "-m", "airflow", *command],
        env={**os.environ, **environment}, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert run.returncode == 0, (run.stdout + run.stderr)[-4000:]
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def test_all_specs_are_shown_beside_a_bad_one(tmp_path: Path) -> None:
    pipelines = tmp_path / "pipelines"
    pipelines.mkdir()
    airflow(tmp_path, "db", "migrate")
    write_specs(pipelines, SPECS)
    (pipelines / "bad.yaml").write_text("version: 1\nsteps: none\n")
    used = airflow(tmp_path, "dag-processor", "--num-runs", "1")
    print(f"{SPECS + 1} specs: {used:.1f} s of CPU, Airflow's start included")
    with sqlite3.connect(tmp_path / "airflow.db") as database:
        shown = {name for (name,) in database.execute("select dag_id from dag where not is_stale")}
        errors = database.execute("select filename, stacktrace from import_error").fetchall()
    assert shown == {f"shop_{number}" for number in range(SPECS)}
    ((file, text),) = errors
    assert file == "bad.yaml.py"
    assert "pipelines/bad.yaml:2:8: 'steps' wants a list" in text
