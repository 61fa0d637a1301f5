"""The plan: how a pipeline's steps become tasks, as plain data that the DAG factory, the CLI and the web UI share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Literal, TypeVar

from airflow_datahub.quantities import shortest
from airflow_datahub.spec.models import Edge, Pipeline
from airflow_datahub.spec.step_types import (
    AnyStep,
    ExtractStep,
    GateStep,
    LoadStep,
    MergeStep,
    RouteStep,
    TransformStep,
    ValidateStep,
)

T = TypeVar("T", int, timedelta)


PARTITIONS = "partitions"
"""The first task of a pipeline whose source is read in parts."""

COMMIT = "commit"
"""The last task of a pipeline of several stages."""


@dataclass(frozen=True, slots=True)
class Input:
    """What a stage reads of what another one has written."""

    stage: str
    """Key of that stage."""

    branch: str | None = None
    """Of a route, the branch; None: everything."""

    def __str__(self) -> str:
        return f"{self.stage}:{self.branch}" if self.branch else self.stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Steps that run in one Airflow task, streaming, and that task's settings."""

    key: str
    """The steps' keys joined by `-`; the task's id."""

    kind: Literal["steps", "partitions", "gate", "commit"] = "steps"
    """partitions: the source is cut; gate: a person is asked; commit: what all stages have done becomes final."""

    steps: tuple[str, ...]
    """Keys of its steps, in running order."""

    after: tuple[str, ...] = ()
    """Keys of the stages that must have ended before."""

    inputs: tuple[Input, ...] = ()
    """What it reads; empty: it begins with a source."""

    hands_on: bool = False
    """It writes files for the stages behind it; else it ends with a sink."""

    mapped: bool = False
    """It runs once a partition of its source, or for a few neighbours."""

    at_once: int | None = None
    """How many of those tasks run at the same time at most."""

    disabled: tuple[str, ...] = ()
    """Keys of the steps that are off; a transform among them passes records on untouched."""

    skipped: str | None = None
    """Why the stage does nothing; None: it runs."""

    retries: int
    retry_delay: timedelta
    timeout: timedelta | None
    """None: no limit."""

    pool: str
    priority: int
    notes: tuple[str, ...] = ()
    """What a person should know before this runs."""

    @property
    def whole(self) -> bool:
        """Whether it goes from a source to a sink."""
        return self.kind == "steps" and not self.inputs and not self.hands_on

    @property
    def alone(self) -> bool:
        """Whether it is the only one, and runs once."""
        return self.whole and not self.mapped

    @property
    def ends_run(self) -> bool:
        """Whether the run has succeeded once it has."""
        return self.alone or self.kind == "commit"

    def as_dict(self) -> dict[str, Any]:
        """The stage as JSON has it: durations as the spec writes them, tuples as lists."""
        return {name: _plain(value) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All stages of a pipeline, in running order. Planning twice gives equal plans."""

    pipeline_id: str
    revision: str
    stages: tuple[Stage, ...]

    @property
    def whole(self) -> Stage | None:
        """The stage that goes from the source to the sink; None where records go through several."""
        return next((stage for stage in self.stages if stage.whole), None)

    def stage(self, key: str) -> Stage:
        """The stage of that key."""
        return next(stage for stage in self.stages if stage.key == key)

    def read_by(self, key: str) -> tuple[str, ...]:
        """The keys of the stages whose files it reads; `commit` is told of all that there are."""
        stage = self.stage(key)
        if stage.kind == "commit":
            return tuple(each.key for each in self.stages if each.hands_on and each.kind == "steps")
        return tuple(dict.fromkeys(each.stage for each in stage.inputs))

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON has it."""
        stages = [stage.as_dict() for stage in self.stages]
        return {"pipeline_id": self.pipeline_id, "revision": self.revision, "stages": stages}


def plan(pipeline: Pipeline) -> Plan:
    """The stages of a pipeline, before them `partitions` where there are, and behind them `commit` where there are
    several.

    A setting that the steps of a stage override is the largest of those overrides, else the pipeline's."""
    by_key = {step.key: step for step in pipeline.steps}
    cut = [[by_key[key] for key in keys] for keys in stages_of(pipeline.steps, pipeline.edges)]
    stage_of = {step.key: "-".join(each.key for each in steps) for steps in cut for step in steps}
    stages: dict[str, Stage] = {}
    if any(isinstance(step, ExtractStep) and step.partition for step in pipeline.steps):
        stages[PARTITIONS] = Stage(key=PARTITIONS, kind="partitions", steps=(), **_settings(pipeline, ()))
    for steps in cut:
        stage = _stage(pipeline, steps, stage_of, stages)
        stages[stage.key] = stage
    if len(stages) > 1:
        ends = tuple(stage.key for stage in stages.values() if stage.kind == "steps" and not stage.hands_on)
        stages[COMMIT] = Stage(key=COMMIT, kind="commit", steps=(), after=ends, **_settings(pipeline, ()))
    return Plan(pipeline_id=pipeline.id, revision=pipeline.revision, stages=tuple(stages.values()))


def shape_of(pipeline: Pipeline) -> str:
    """What two definitions have in common of which one can go on with what the other has begun."""
    return ", ".join(f"{stage.key}({', '.join(map(str, stage.inputs))})" for stage in plan(pipeline).stages)


def stages_of(steps: Sequence[AnyStep], edges: Sequence[Edge]) -> list[tuple[str, ...]]:
    """The keys of the steps of each stage, both in running order: a stage ends before a step that several edges, or a
    gate, lead into, behind one that several lead out of, and at a step with `stage: own`."""
    by_key = {step.key: step for step in steps}
    into, out_of = Counter(edge.target for edge in edges), Counter(edge.source for edge in edges)
    follows = {}
    for edge in edges:
        ends = by_key[edge.source], by_key[edge.target]
        alone = any(step.stage == "own" or isinstance(step, GateStep) for step in ends)
        apart = alone or isinstance(ends[0], RouteStep) or isinstance(ends[1], MergeStep)
        if not apart and into[edge.target] == 1 and out_of[edge.source] == 1:
            follows[edge.target] = edge.source
    chains: dict[str, list[str]] = {}
    found: list[list[str]] = []
    for step in steps:
        chain = chains.get(follows.get(step.key, ""))
        if chain is None:
            found.append(chain := [])
        chain.append(step.key)
        chains[step.key] = chain
    return [tuple(keys) for keys in found]


def _stage(
    pipeline: Pipeline, steps: Sequence[AnyStep], stage_of: Mapping[str, str], before: Mapping[str, Stage]
) -> Stage:
    into = [edge for edge in pipeline.edges if edge.target == steps[0].key]
    partition = steps[0].partition if isinstance(steps[0], ExtractStep) else None
    return Stage(
        key=stage_of[steps[0].key],
        kind="gate" if isinstance(steps[0], GateStep) else "steps",
        steps=tuple(step.key for step in steps),
        after=(PARTITIONS,) if partition else tuple(dict.fromkeys(stage_of[edge.source] for edge in into)),
        mapped=partition is not None,
        at_once=partition.concurrency if partition else None,
        inputs=tuple(each for edge in into for each in _inputs(edge, stage_of, before)),
        hands_on=any(edge.source == steps[-1].key for edge in pipeline.edges),
        disabled=tuple(step.key for step in steps if not step.enabled),
        skipped=_skipped(steps),
        notes=tuple(_notes(steps)),
        **_settings(pipeline, steps),
    )


def _inputs(edge: Edge, stage_of: Mapping[str, str], before: Mapping[str, Stage]) -> tuple[Input, ...]:
    """What comes by an edge; a gate gives what it was given."""
    stage = before[stage_of[edge.source]]
    return stage.inputs if stage.kind == "gate" else (Input(stage.key, edge.branch),)


def _settings(pipeline: Pipeline, steps: Sequence[AnyStep]) -> dict[str, Any]:
    """What Airflow is told of a stage's task."""
    on = [step for step in steps if step.enabled]
    return {
        "retries": _largest((step.retries for step in on), pipeline.retries),
        "retry_delay": _largest((step.retry_delay for step in on), pipeline.retry_delay),
        "timeout": _largest((step.timeout for step in on), pipeline.timeout),
        "pool": next((step.pool for step in on if step.pool), pipeline.pool),
        "priority": _largest((step.priority for step in on), pipeline.priority),
    }


def _largest(overrides: Iterable[T | None], otherwise: Any) -> Any:
    return max((value for value in overrides if value is not None), default=otherwise)


def _skipped(steps: Sequence[AnyStep]) -> str | None:
    off = [step for step in steps if not step.enabled and stops(step)]
    return "; ".join(f"{step.type} step {step.key!r} is off (enabled: false)" for step in off) or None


def stops(step: AnyStep) -> bool:
    """Whether nothing gets past the step while it is off."""
    return not isinstance(step, TransformStep | ValidateStep | GateStep)


def _notes(steps: Sequence[AnyStep]) -> Iterator[str]:
    for step in steps:
        if isinstance(step, ExtractStep):
            yield from (f"{step.key}: {note}" for note in step.source.notes())
        if isinstance(step, LoadStep) and not step.sink.keeps_checkpoint:
            yield f"{step.key}: nothing is remembered, every run begins at the start"
    for step in steps:
        if "flag" in _policies(step):
            yield f"{step.key}: flagged records carry `_errors`, which the load must have a place for"


def _policies(step: AnyStep) -> set[str | None]:
    operators = step.operators if isinstance(step, TransformStep | ValidateStep) else ()
    return {step.on_error, *(each.on_error for each in operators)}


def _plain(value: Any) -> Any:
    if isinstance(value, timedelta):
        return shortest(value)
    return list(value) if isinstance(value, tuple) else value
