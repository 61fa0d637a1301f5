"""One DAG from one spec, one task a stage of its plan. Nothing is read but the spec, nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Asset, BaseOperator, Param, TriggerRule, XComArg
from airflow.sdk.definitions.mappedoperator import MappedOperator

from airflow_datahub.dag_factory import documentation, notifying
from airflow_datahub.dag_factory.schedule import BEGINNING, timetable
from airflow_datahub.errors import SpecError
from airflow_datahub.operators.assets import asset_of
from airflow_datahub.operators.partition import PartitionOperator
from airflow_datahub.operators.stage import StageOperator
from airflow_datahub.spec import LoadStep, Pipeline, Stage, load, plan
from airflow_datahub.spec.builder import Builder
from airflow_datahub.spec.plan import PARTITIONS

RETRY_GROWTH = 2.0
"""Each wait before a retry is this many times the one before, with up to as much again by chance (Airflow's rule)."""


def build(stub_file: str) -> DAG:
    """The DAG of the spec beside a stub: `pipelines/events.yaml.py` stands for `pipelines/events.yaml`.

    Raises SpecError, whose last lines name every mistake of the spec as `file:line:col: what`.
    """
    spec = Path(stub_file.removesuffix(".py"))
    try:
        return dag_of(load(spec))
    except SpecError as error:
        raise short(error, f"{spec.parent.name}/{spec.name}") from None


def short(error: SpecError, name: str) -> SpecError:
    """The same problems under a name that does not depend on where this machine keeps its DAGs."""
    return SpecError([replace(problem, file=name) for problem in error.problems])


def dag_of(pipeline: Pipeline | Builder) -> DAG:
    """The DAG of a pipeline, also of one that is written in Python; the same one each time."""
    if isinstance(pipeline, Builder):
        pipeline = pipeline.build()
    with DAG(
        dag_id=pipeline.id,
        description=pipeline.description or None,
        tags=list(pipeline.tags),
        default_args={"owner": pipeline.owner},
        schedule=timetable(pipeline),
        start_date=pipeline.start_date or BEGINNING,
        catchup=False,
        max_active_runs=pipeline.max_active_runs,
        params={name: param(schema) for name, schema in pipeline.params.items()},
        doc_md=documentation.of_dag(pipeline),
        **notifying.of_dag(pipeline),
    ) as dag:
        tasks: dict[str, BaseOperator | MappedOperator] = {}
        for stage in plan(pipeline).stages:
            tasks[stage.key] = mapped(pipeline, stage, dag) if stage.mapped else task_of(pipeline, stage)
            tasks[stage.key].set_upstream([tasks[key] for key in stage.after])
    return dag


def param(schema: Mapping[str, Any]) -> Param:
    """A field of the trigger form; one without a default must be filled in."""
    rest = {name: value for name, value in schema.items() if name not in ("default", "description")}
    default = {"default": schema["default"]} if "default" in schema else {}
    return Param(**default, description=schema.get("description"), schema=rest)


def task_of(pipeline: Pipeline, stage: Stage) -> BaseOperator:
    """The task of a stage, named after its steps."""
    operator: Any = StageOperator
    if stage.kind == "gate":
        from airflow_datahub.operators.gate import GateOperator as operator
    own = None if stage.alone else stage.key
    task: BaseOperator = operator(pipeline=pipeline, stage=own, **_settings(pipeline, stage))
    return task


def mapped(pipeline: Pipeline, stage: Stage, dag: DAG) -> MappedOperator:
    """The task of a stage that runs once a partition; how often is known once the task before it has run."""
    waiting = PartitionOperator.partial(
        stage=stage.key,
        map_index_template="{{ task.label }}",
        max_active_tis_per_dagrun=stage.at_once,
        **_settings(pipeline, stage),
    )
    return waiting.expand(pack=XComArg(dag.get_task(PARTITIONS)))


def _settings(pipeline: Pipeline, stage: Stage) -> dict[str, Any]:
    """What Airflow itself is told of a task."""
    return {
        "task_id": stage.key,
        "trigger_rule": _rule(stage),
        "retries": stage.retries,
        "retry_delay": stage.retry_delay,
        "retry_exponential_backoff": RETRY_GROWTH,
        "execution_timeout": stage.timeout,
        "pool": stage.pool,
        "priority_weight": stage.priority,
        "outlets": outlets(pipeline, stage),
        "doc_md": documentation.of_stage(pipeline, stage.steps),
        **notifying.of_task(pipeline),
    }


def _rule(stage: Stage) -> TriggerRule:
    """Where several stages lead to one, one that was skipped has nothing to give, and the others go on."""
    return TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS if len(stage.after) > 1 else TriggerRule.ALL_SUCCESS


def outlets(pipeline: Pipeline, stage: Stage) -> list[Asset]:
    """What is up to date once the stage has run: where there are several, once `commit` has."""
    steps = pipeline.order if stage.kind == "commit" else stage.steps if stage.alone else ()
    loads = [step for step in pipeline.steps if isinstance(step, LoadStep) and step.key in steps]
    named = dict(asset for step in loads if (asset := step.sink.asset()) is not None)
    return [asset_of(name, uri) for name, uri in named.items()]
