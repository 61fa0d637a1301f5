"""The plan: how a pipeline's steps become tasks, as plain data that the DAG factory, the CLI and the web UI share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, TypeVar

from airflow_datahub.quantities import shortest
from airflow_datahub.spec.models import AnyStep, Pipeline

T = TypeVar("T", int, timedelta)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Steps that run in one Airflow task, streaming, and that task's settings."""

    key: str
    """The steps' keys joined by `-`; the task's id."""

    steps: tuple[str, ...]
    """Keys of its steps, in running order."""

    disabled: tuple[str, ...]
    """Keys of the steps that are off; a transform among them passes records on untouched."""

    skipped: str | None
    """Why the stage does nothing; None: it runs."""

    retries: int
    retry_delay: timedelta
    timeout: timedelta | None
    """None: no limit."""

    pool: str
    priority: int
    notes: tuple[str, ...]
    """What a person should know before this runs."""

    def as_dict(self) -> dict[str, Any]:
        """The stage as JSON has it: durations as the spec writes them, tuples as lists."""
        return {name: _plain(value) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All stages of a pipeline. Planning twice gives equal plans."""

    pipeline_id: str
    revision: str
    stages: tuple[Stage, ...]

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON has it."""
        stages = [stage.as_dict() for stage in self.stages]
        return {"pipeline_id": self.pipeline_id, "revision": self.revision, "stages": stages}


def plan(pipeline: Pipeline) -> Plan:
    """The stages of a pipeline: in this version one, from source to sink.

    A setting that steps override is the largest of those overrides, else the pipeline's."""
    steps = [step for step in pipeline.steps if step.enabled]
    keys = tuple(step.key for step in pipeline.steps)
    stage = Stage(
        key="-".join(keys),
        steps=keys,
        disabled=tuple(step.key for step in pipeline.steps if not step.enabled),
        skipped=_skipped(pipeline),
        retries=_largest((step.retries for step in steps), pipeline.retries),
        retry_delay=_largest((step.retry_delay for step in steps), pipeline.retry_delay),
        timeout=_largest((step.timeout for step in steps), pipeline.timeout),
        pool=next((step.pool for step in steps if step.pool), pipeline.pool),
        priority=_largest((step.priority for step in steps), pipeline.priority),
        notes=tuple(_notes(pipeline)),
    )
    return Plan(pipeline_id=pipeline.id, revision=pipeline.revision, stages=(stage,))


def _largest(overrides: Iterable[T | None], otherwise: Any) -> Any:
    return max((value for value in overrides if value is not None), default=otherwise)


def _skipped(pipeline: Pipeline) -> str | None:
    ends: tuple[AnyStep, ...] = (pipeline.extract, pipeline.load)
    off = [f"{step.type} step {step.key!r} is off (enabled: false)" for step in ends if not step.enabled]
    return "; ".join(off) or None


def _notes(pipeline: Pipeline) -> list[str]:
    notes = [f"{pipeline.extract.key}: {note}" for note in pipeline.extract.source.notes()]
    if not pipeline.load.sink.keeps_checkpoint:
        notes.append(f"{pipeline.load.key}: nothing is remembered, every run begins at the start")
    flagging = [step.key for step in pipeline.steps if "flag" in _policies(step)]
    return notes + [f"{key}: flagged records carry `_errors`, which the load must have a place for" for key in flagging]


def _policies(step: AnyStep) -> set[str | None]:
    return {step.on_error, *(each.on_error for each in getattr(step, "operators", ()))}


def _plain(value: Any) -> Any:
    if isinstance(value, timedelta):
        return shortest(value)
    return list(value) if isinstance(value, tuple) else value
