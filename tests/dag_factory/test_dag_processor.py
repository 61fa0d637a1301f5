"""Specs through Airflow's own dag-processor, by the bundle; `DATAHUB_SPECS=200` makes it many."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from airflow.models.dagbag import DBDagBag
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from bench.parsing import write_specs
from tests.world import ROOT

pytestmark = pytest.mark.airflow


SPECS = int(os.environ.get("DATAHUB_SPECS", "8"))
SHOPS = {f"shop_{number}" for number in range(SPECS)}
TWINS = {
    "stamped": "str(time.time_ns())",
    "shuffled": "str(hash('a'))",
}
"""What a factory must not put into a DAG: the time, and an order that each process chooses for itself."""
TWIN = """# an airflow dag
import time
from pathlib import Path
from airflow_datahub.dag_factory.building import dag_of
from airflow_datahub.spec import load
dag = dag_of(load(Path("{spec}")).model_copy(update={{"id": "{name}", "description": {stamp}}}))
"""
PARAMS = """params:
  since: {type: [string, "null"], format: date-time, default: "2024-01-01T00:00:00Z"}
  shops: {type: array, items: {type: string}, default: [b, a]}
  limit: {type: integer, default: 5}
steps:"""


def airflow(home: Path, *command: str, **environment: str) -> float:
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
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "0",
        "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
        **environment,
    }
    before = os.times()
    run = subprocess.run(
        [sys.executable, "-m", "airflow", *command],
        env={**os.environ, **environment}, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert run.returncode == 0, (run.stdout + run.stderr)[-4000:]
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An Airflow on SQLite that has parsed the specs, a bad one, one with params, and the twins."""
    folder = tmp_path_factory.mktemp("dag_processor")
    pipelines = folder / "pipelines"
    pipelines.mkdir()
    airflow(folder, "db", "migrate")
    write_specs(pipelines, SPECS)
    (pipelines / "bad.yaml").write_text("version: 1\nsteps: none\n")
    (pipelines / "params.yaml").write_text((pipelines / "shop_0.yaml").read_text().replace("steps:", PARAMS))
    for name, stamp in TWINS.items():
        (pipelines / f"{name}.py").write_text(TWIN.format(spec=pipelines / "shop_0.yaml", name=name, stamp=stamp))
    used = airflow(
        folder, "dag-processor", "--num-runs", "1", PYTHONHASHSEED="1", AIRFLOW_CONN_WAREHOUSE="postgres://a"
    )
    print(f"{SPECS + 4} specs: {used:.1f} s of CPU, Airflow's start included")
    return folder


def rows(home: Path, query: str) -> list[tuple[Any, ...]]:
    """What Airflow's tables hold."""
    with closing(sqlite3.connect(home / "airflow.db")) as database:
        return database.execute(query).fetchall()


def versions(home: Path) -> dict[str, int]:
    """The number of versions of each DAG."""
    return dict(rows(home, "select dag_id, count(*) from dag_version group by dag_id"))


def hashes(home: Path) -> dict[str, str]:
    """What Airflow tells the latest version of each DAG by."""
    return dict(rows(home, "select dag_id, dag_hash from serialized_dag order by created_at"))


def start_runs(home: Path, dag_ids: Iterable[str]) -> None:
    """A version that no run has used is written over and never becomes a second one."""
    engine = create_engine(f"sqlite:///{home}/airflow.db")
    with Session(engine) as session:
        for dag_id in dag_ids:
            dag = DBDagBag().get_latest_version_of_dag(dag_id, session=session)
            assert dag
            dag.create_dagrun(
                run_id="one", run_type=DagRunType.MANUAL, triggered_by=DagRunTriggeredByType.TEST,
                state=DagRunState.QUEUED, run_after=dag.start_date, session=session,
            )  # fmt: skip
        session.commit()
    engine.dispose()


def test_all_specs_are_shown_beside_a_bad_one(home: Path) -> None:
    shown = {name for (name,) in rows(home, "select dag_id from dag where not is_stale")}
    assert shown == SHOPS | {"params", *TWINS}
    ((file, text),) = rows(home, "select filename, stacktrace from import_error")
    assert file == "bad.yaml.py"
    assert "pipelines/bad.yaml:2:8: 'steps' wants a list" in text


def test_parsing_again_makes_a_version_of_what_was_changed_alone(home: Path) -> None:
    """In another process with another seed, with other connections, with stubs of a new time, more than once."""
    pipelines, before = home / "pipelines", hashes(home)
    start_runs(home, before)
    for stub in pipelines.glob("*.yaml.py"):
        os.utime(stub, (time.time() + 5, time.time() + 5))
    edited = pipelines / "shop_1.yaml"
    edited.write_text(edited.read_text().replace("retries: 3", "retries: 4"))
    airflow(home, "dag-processor", "--num-runs", "2", PYTHONHASHSEED="2", AIRFLOW_CONN_WAREHOUSE="postgres://b")
    after, changed = hashes(home), {"shop_1", *TWINS}
    assert {name for name in after if after[name] != before[name]} == changed
    assert versions(home) == dict.fromkeys(SHOPS | {"params"}, 1) | dict.fromkeys(changed, 2)
