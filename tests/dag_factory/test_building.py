"""A spec and its stub become one DAG."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from airflow.sdk import DAG, Asset, CronTriggerTimetable, DeltaTriggerTimetable, MultipleCronTriggerTimetable
from airflow.sdk.exceptions import ParamValidationError

from airflow_datahub.dag_factory import build, dag_of
from airflow_datahub.errors import SpecError
from airflow_datahub.spec import load, write_stubs
from airflow_datahub.spec.builder import pipeline
from tests.world import EVENTS, ROOT

BERLIN = "Europe/Berlin"

STEPS = """
steps:
  - {key: extract, type: extract, adapter: inline, config: {rows: [{id: 1}]}}
  - {key: print, type: load, adapter: stdout, config: {}}
"""


def dag(folder: Path, head: str, steps: str = STEPS) -> DAG:
    """The DAG of a spec with these words above its steps."""
    (folder / "given.yaml").write_text(f"version: 1\n{head}\n{steps}")
    return build(str(folder / "given.yaml.py"))


def test_the_events_pipeline_becomes_one_dag_with_one_task() -> None:
    made = build(f"{EVENTS}.py")
    assert (made.dag_id, made.description) == ("datasync_events", load(EVENTS).description)
    assert (made.tags, made.max_active_runs, made.catchup) == ({"events", "example"}, 1, False)
    assert made.start_date == datetime(2024, 1, 1, tzinfo=UTC)
    (task,) = made.tasks
    assert (task.task_id, task.owner, task.retries) == ("extract-tidy-load", "data", 3)
    assert (task.retry_delay, task.retry_exponential_backoff) == (timedelta(seconds=10), 2.0)
    uri = "airflow-datahub://warehouse/public/ingested_events"
    assert task.outlets == [Asset(name="warehouse/public.ingested_events", uri=uri)]


def test_a_pipeline_written_in_python_becomes_the_same_dag(tmp_path: Path) -> None:
    made = pipeline("given", tags=["a"], max_active_runs=2).extract("inline", rows=[{"id": 1}]).load("stdout")
    by_yaml, built = build(f"{made.write(tmp_path)}.py"), dag_of(made)
    assert (built.dag_id, built.tags, built.max_active_runs) == (by_yaml.dag_id, by_yaml.tags, 2)
    assert built.doc_md == by_yaml.doc_md
    (one,), (other,) = built.tasks, by_yaml.tasks
    assert (one.task_id, one.doc_md) == (other.task_id, other.doc_md)  # type: ignore[attr-defined]
    assert one.pipeline.revision == other.pipeline.revision  # type: ignore[attr-defined]


def test_settings_of_tasks_arrive(tmp_path: Path) -> None:
    head = "owner: me\nretries: 7\nretry_delay: 2m\ntimeout: 6h\npool: small\npriority: 5\nmax_active_runs: 2"
    (task,) = (made := dag(tmp_path, head)).tasks
    assert (task.owner, task.retries, task.pool, task.priority_weight) == ("me", 7, "small", 5)
    assert (task.retry_delay, task.execution_timeout) == (timedelta(minutes=2), timedelta(hours=6))
    assert (made.max_active_runs, task.outlets) == (2, [])
    assert made.schedule is None


@pytest.mark.parametrize(
    ("schedule", "wanted"),
    [
        ('"*/15 * * * *"', CronTriggerTimetable("*/15 * * * *", timezone=BERLIN)),
        ("'@daily'", CronTriggerTimetable("0 0 * * *", timezone=BERLIN)),
        ("['0 2 * * *', '30 4 * * 1']", MultipleCronTriggerTimetable("0 2 * * *", "30 4 * * 1", timezone=BERLIN)),
        ("{every: 15m}", DeltaTriggerTimetable(timedelta(minutes=15))),
    ],
)
def test_schedules(tmp_path: Path, schedule: str, wanted: Any) -> None:
    made = dag(tmp_path, f"schedule: {schedule}\ntimezone: Europe/Berlin\nstart_date: 2025-03-01")
    assert made.timetable == wanted
    assert made.start_date == datetime(2025, 3, 1, tzinfo=ZoneInfo(BERLIN))


def test_params_become_the_trigger_form(tmp_path: Path) -> None:
    head = "params:\n  since: {type: [string, 'null'], format: date-time, default: null, description: From when}\n"
    made = dag(tmp_path, head + "  size: {type: integer, minimum: 1}\n  word: plain")
    since = made.params.get_param("since")
    assert (since.value, since.description) == (None, "From when")
    assert since.schema == {"type": ["string", "null"], "format": "date-time"}
    assert not made.params.get_param("size").has_value
    assert made.params["word"] == "plain"
    with pytest.raises(ParamValidationError, match="0 is less than the minimum of 1"):
        made.params["size"] = 0


def test_pages_show_the_spec_as_it_is_written(tmp_path: Path) -> None:
    steps = """
steps:
  # where it comes from
  - key: extract   # the only source
    type: extract
    adapter: inline
    config:
      rows:
        - {id: 1, text: "```"}
  # where it goes
  - {key: print, type: load, adapter: stdout, config: {}}
"""
    made = dag(tmp_path, "description: All about it", steps)
    text = (tmp_path / "given.yaml").read_text().strip()
    assert made.doc_md == f"All about it\n\n````yaml\n{text}\n````"
    (task,) = made.tasks
    assert task.doc_md == (
        "````yaml\n- key: extract   # the only source\n  type: extract\n  adapter: inline\n  config:\n    rows:\n"
        '      - {id: 1, text: "```"}\n- {key: print, type: load, adapter: stdout, config: {}}\n````'
    )


def test_a_bad_spec_ends_in_bare_lines_without_a_path_of_this_machine(tmp_path: Path) -> None:
    steps = STEPS.replace("adapter: inline", "adaptor: inline").replace("stdout", "stdut")
    with pytest.raises(SpecError) as caught:
        dag(tmp_path, "colour: red", steps)
    lines = str(caught.value).splitlines()[1:]
    assert len(lines) >= 3
    assert all(line.startswith(f"{tmp_path.name}/given.yaml:") for line in lines)
    assert any("did you mean 'stdout'?" in line for line in lines)


def test_a_missing_spec_is_said(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"gone\.yaml:1:1: cannot be read: .*No such file"):
        build(str(tmp_path / "gone.yaml.py"))


PARSE = """
import builtins, json, sys
from pathlib import Path
import airflow.sdk
from airflow.serialization.serialized_objects import DagSerialization

heavy, real = set(), builtins.__import__

def watching(name, globals=None, *rest, **named):
    if (globals or {}).get("__name__", "").startswith("airflow_datahub"):
        heavy.add(name.split(".")[0])
    return real(name, globals, *rest, **named)

builtins.__import__ = watching
place = {}
exec(compile(Path(sys.argv[1]).read_text(), sys.argv[1], "exec"), {"__file__": sys.argv[1]}, place)
ours = sorted(name for name in sys.modules if name.startswith("airflow_datahub."))
clouds = sorted({"boto3", "google.cloud.storage"} & sys.modules.keys())
dag = DagSerialization.to_dict(place["dag"])
print(json.dumps({"dag": dag, "heavy": sorted(heavy), "modules": ours, "clouds": clouds}))
"""


def parsed(stub: Path, seed: int) -> Any:
    """What a process of its own makes of a stub, and what it imports for that."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": str(seed)}
    command = [sys.executable, "-c", PARSE, str(stub)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_parsing_twice_gives_the_same_dag_and_imports_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / EVENTS.name).write_bytes(EVENTS.read_bytes())
    (stub,) = write_stubs(tmp_path)
    first, second = (parsed(stub, seed) for seed in (1, 2))
    assert first == second
    assert first["dag"]["dag"]["dag_id"] == "datasync_events"
    assert not {"httpx", "aiohttp", "psycopg", "sqlalchemy", "cel"} & set(first["heavy"])
    assert first["clouds"] == []
    ask = ("airflow_datahub.http.client", "airflow_datahub.http.page", "airflow_datahub.http.target")
    not_yet = ("airflow_datahub.engine", *ask, "airflow_datahub.state.store")
    assert [name for name in first["modules"] if name.startswith(not_yet)] == []
