"""A source in parts as Airflow runs it: one task cuts, mapped ones read, one commits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.models.taskinstance import TaskInstance
from airflow.serialization.serialized_objects import DagSerialization
from airflow.utils.session import create_session
from sqlalchemy import select

from airflow_datahub.dag_factory import dag_of
from airflow_datahub.spec import loads
from airflow_datahub.state.store import Store
from tests.operators.conftest import Run
from tests.windowed import from_source, spec

NAMED = from_source("{by: source, concurrency: 2}", "Shelves", "{shelves: {a: 2, b: 3, '{{ c }}': 1}}").replace(
    "adapter: postgres", "adapter: stdout"
)
NAMED = NAMED[: NAMED.rindex("    config:")]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The home of each test's store."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))


def labels(dag_id: str) -> list[str | None]:
    """What Airflow calls the mapped tasks."""
    with create_session() as session:
        query = select(TaskInstance).where(TaskInstance.dag_id == dag_id, TaskInstance.map_index >= 0)
        return [each.rendered_map_index for each in session.scalars(query.order_by(TaskInstance.map_index))]


def test_one_task_a_partition_and_what_they_counted(run_dag: Run) -> None:
    done = run_dag(dag_of(loads(NAMED, "shelves.yaml")))
    assert [pack["label"] for pack in done["partitions"]] == ["a", "b", "{{ c }}"]
    assert [each["records"] for each in done["events-load"]] == [2, 3, 1]
    assert labels("shelves") == ["a", "b", "{{ c }}"]
    with Store.open() as store:
        (run,) = store.runs("shelves")
        assert run.state == "success"
        assert {key: steps["load"].records_out for key, steps in store.partitions("shelves", run.run_id).items()} == {
            "a": 2, "b": 3, "{{ c }}": 1,
        }  # fmt: skip


def test_no_partition_is_one_empty_task(run_dag: Run) -> None:
    text = NAMED.replace("{a: 2, b: 3, '{{ c }}': 1}", "{}")
    done = run_dag(dag_of(loads(text, "nothing.yaml")))
    assert [each["records"] for each in done["events-load"]] == [0]


def test_no_more_tasks_than_airflow_takes(run_dag: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "2")
    done = run_dag(dag_of(loads(NAMED, "packed.yaml")))
    assert [each["records"] for each in done["events-load"]] == [2, 4]
    assert labels("packed") == ["a", "b … {{ c }}"]


def test_nothing_is_cut_while_a_dag_is_parsed() -> None:
    def serialized() -> Any:
        return DagSerialization.to_dict(dag_of(loads(spec(), "daily.yaml")))

    assert json.dumps(serialized(), sort_keys=True) == json.dumps(serialized(), sort_keys=True)
    tasks = {each["__var"]["task_id"]: each["__var"] for each in serialized()["dag"]["tasks"]}
    assert list(tasks) == ["partitions", "events-load", "commit"]
    assert "pipeline" not in tasks["events-load"]["partial_kwargs"]
    partition = "{by: window, concurrency: 3, window: {from: 2024-01-01, to: now, size: 1d}}"
    dag = dag_of(loads(spec(partition), "daily.yaml"))
    assert dag.get_task("events-load").max_active_tis_per_dagrun == 3
    assert not dag.get_task("events-load").outlets
    assert [asset.name for asset in dag.get_task("commit").outlets] == ["warehouse/public.events"]
