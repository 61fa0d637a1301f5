"""What Airflow's OpenLineage provider finds out about a task, asked as it asks."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.openlineage.extractors.manager import ExtractorManager
from airflow.utils.state import TaskInstanceState
from openlineage.client.serde import Serde

from airflow_datahub.operators.stage import StageOperator
from airflow_datahub.spec import loads
from tests.operators.test_stage_operator import context
from tests.world import EVENTS_ALONE, World


@pytest.fixture
def task(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> StageOperator:
    """The events pipeline's task, rendered, in a world whose connections are the process's."""
    for name, value in world.environment.items():
        if name.startswith("AIRFLOW"):
            monkeypatch.setenv(name, value)
    spec = EVENTS_ALONE.replace("version: 1\n", "version: 1\nrejects: {max: 1%}\nexpect: {min_records: 99999}\n", 1)
    given = loads(spec, "datasync_events.yaml")
    made = StageOperator(task_id="extract-tidy-load", pipeline=given).prepare_for_execution()
    made.render_template_fields(context())
    return made


def found(task: StageOperator, state: TaskInstanceState) -> dict[str, Any]:
    """The provider's extraction, as it would be sent."""
    instance = SimpleNamespace(task=task)
    lineage = ExtractorManager().extract_metadata(
        dagrun=SimpleNamespace(run_id="run-1"), task=task, task_instance_state=state, task_instance=instance
    )
    parts = {"inputs": lineage.inputs, "outputs": lineage.outputs, "run": lineage.run_facets}
    return json.loads(json.dumps(parts, default=Serde.to_dict))


def test_where_a_task_reads_and_writes_is_known_before_it_begins(task: StageOperator, world: World) -> None:
    lineage = found(task, TaskInstanceState.RUNNING)
    (source,), (target,) = lineage["inputs"], lineage["outputs"]
    server, _, database = world.dsn.rpartition("@")[2].partition("/")
    assert (source["namespace"], source["name"]) == (world.api.url, "/api/v1/events")
    assert (target["namespace"], target["name"]) == (f"postgres://{server}", f"{database}.public.ingested_events")


def test_what_it_has_brought_is_known_at_its_end_also_when_it_failed(task: StageOperator, world: World) -> None:
    with pytest.raises(Exception, match=r"expect\.min_records"):
        task.execute(context())
    lineage = found(task, TaskInstanceState.FAILED)
    (source,), (target,) = lineage["inputs"], lineage["outputs"]
    read = source["inputFacets"]
    assert read["inputStatistics"]["rowCount"] == 10_000
    assert read["inputStatistics"]["size"] > 1_000_000
    demands = {each["assertion"]: each["success"] for each in read["dataQualityAssertions"]["assertions"]}
    assert demands == {"rejects.max: 1%": True, "expect.min_records: 99999": False}
    assert target["outputFacets"]["outputStatistics"]["rowCount"] == world.count()
    columns = {field["name"]: field["type"] for field in target["facets"]["schema"]["fields"]}
    assert columns["id"] == "text"
    assert columns["timestamp"] == "timestamp with time zone"
    steps = lineage["run"]["airflow_datahub"]["steps"]
    assert (steps["load"]["inserted"], steps["tidy"]["rejected"]) == (world.count(), 0)
    text = json.dumps(lineage)
    assert world.api.api_key not in text
    assert world.dsn.partition("@")[0].rpartition(":")[2] not in text


def test_a_connection_that_is_missing_leaves_a_gap(task: StageOperator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_DATASYNC")
    lineage = found(task, TaskInstanceState.RUNNING)
    assert (lineage["inputs"], len(lineage["outputs"])) == ([], 1)
