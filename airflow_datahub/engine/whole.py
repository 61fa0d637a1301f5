"""All stages of a pipeline in this process, one after the other: what Airflow does with tasks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from airflow_datahub.contract import Run
from airflow_datahub.engine.handing import Handed
from airflow_datahub.engine.partitions import NOTHING, only
from airflow_datahub.engine.rendering import rendered_text
from airflow_datahub.engine.running import Outcome, Task, run_pipeline
from airflow_datahub.spec import GateStep, Pipeline, Stage, is_on, plan, resolve_params
from airflow_datahub.spool.manifest import Manifest, coming, counted
from airflow_datahub.state import Replay
from airflow_datahub.state.store import Store

Approve = Callable[[str], bool]
"""Asks a person."""


def run_whole(
    pipeline: Pipeline,
    run: Run,
    store: Store,
    approve: Approve,
    *,
    full: bool = False,
    limit: int | None = None,
    partition: str | None = None,
    replay: Replay | None = None,
) -> Outcome:
    """Run every stage, all partitions one after another or the one of a key; `approve` is asked at gates. Raises what
    run_pipeline does."""
    planned = plan(pipeline)
    pack = only(pipeline, run, partition) if partition is not None else NOTHING
    if len(planned.stages) == 1:
        return run_pipeline(pipeline, run, store, Task(full=full, limit=limit, replay=replay))
    handed: dict[str, Manifest] = {}
    done: dict[str, Outcome] = {}
    for stage in planned.stages:
        if stage.after and not _goes_on(stage, done):
            continue
        given = {key: handed[key] for key in planned.read_by(stage.key) if key in handed}
        if stage.kind == "gate":
            if _approved(pipeline, stage, run, given, approve):
                done[stage.key] = Outcome()
            continue
        most = None if stage.inputs else limit
        task = Task(stage=stage.key, handed=given, pack=pack, most=1, full=full, limit=most, replay=replay)
        outcome = run_pipeline(pipeline, run, store, task)
        if outcome.packs and partition is None:
            (pack,) = outcome.packs
        if outcome.skipped is None:
            done[stage.key] = outcome
        if outcome.manifest:
            handed[stage.key] = outcome.manifest
    return _together(pipeline, run, store, done)


def _goes_on(stage: Stage, done: dict[str, Outcome]) -> bool:
    """As Airflow's trigger rules have it: where several lead to one, one that was skipped has nothing to give."""
    return any(key in done for key in stage.after)


def _approved(pipeline: Pipeline, stage: Stage, run: Run, given: Handed, approve: Approve) -> bool:
    step = next(step for step in pipeline.steps if step.key == stage.key)
    assert isinstance(step, GateStep)
    params = resolve_params(pipeline, run.params)
    read, rejected = counted(given.values())
    if run.trigger == "replay":
        read = coming(stage.inputs, given)
        if not read:
            return True
    if not is_on(step, params) or not step.asks(read, rejected):
        return True
    return approve(str(rendered_text("message", step.message, {"params": params, "run_id": run.run_id})))


def _together(pipeline: Pipeline, run: Run, store: Store, done: dict[str, Outcome]) -> Outcome:
    """The outcome of the run."""
    planned = plan(pipeline)
    if planned.stages[-1].key not in done:
        why = "nothing was loaded: its loads are off, or a gate was refused"
        store.end(pipeline.id, run.run_id, "skipped")
        return Outcome(summary=f"ingestion skipped: {why}", skipped=why)
    stages = {stage: done[stage.key] for stage in planned.stages if stage.kind == "steps" and stage.key in done}
    roots = [each for stage, each in stages.items() if not stage.inputs]
    steps = {key: counts for each in done.values() for key, counts in each.steps.items() if key in pipeline.order}
    return replace(
        done[planned.stages[-1].key],
        records=sum(each.records for each in roots),
        rejected=sum(each.rejected for each in stages.values()),
        seconds=sum(each.seconds for each in done.values()),
        steps={key: steps[key] for key in pipeline.order if key in steps},
    )
