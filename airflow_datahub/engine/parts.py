"""A stage of a pipeline as a pipeline of its own, from a source to a sink: what the engine runs.

Where a stage begins or ends with files, an end is put there that the spec does not have. Its key has a dot, which no
step's key can have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_datahub.contract import Record
from airflow_datahub.errors import RejectRecord
from airflow_datahub.paths import read_by
from airflow_datahub.spec import AnyStep, ExtractStep, LoadStep, MergeStep, Pipeline, RouteStep, Stage, is_on
from airflow_datahub.spec.models import Expect
from airflow_datahub.spec.plan import stops
from airflow_datahub.spec.step_types import CATCH_ALL
from airflow_datahub.spool.spool import Split, Spool
from airflow_datahub.spool.together import Together

INTO_FILES = ".out"
"""Behind the key of a step: the end that writes what it gives into files."""


def part_of(pipeline: Pipeline, stage: Stage) -> Pipeline:
    """The pipeline of one stage. Its templates know `inputs` and `spool` besides what the spec's know."""
    by_key = {step.key: step for step in pipeline.steps}
    steps = [by_key[key] for key in stage.steps]
    if stage.inputs:
        steps = _behind_files(steps)
    if stage.hands_on:
        steps = _into_files(steps)
    several = sum(isinstance(step, ExtractStep) for step in pipeline.steps) > 1
    alone = {"expect": Expect()} if several else {}  # only `commit` knows what all sources gave
    return pipeline.model_copy(update={"steps": tuple(steps), **alone})


def off(pipeline: Pipeline, stage: Stage, params: Mapping[str, Any]) -> str | None:
    """Why the stage does nothing in a run with these params; None: it runs."""
    steps = [step for step in pipeline.steps if step.key in stage.steps and stops(step)]
    why = [f"{step.type} step {step.key!r} is off ({_by(step)})" for step in steps if not is_on(step, params)]
    return "; ".join(why) or None


def _by(step: AnyStep) -> str:
    return f"when: {step.when}" if step.enabled else "enabled: false"


def in_ledger(key: str) -> bool:
    """Whether a step is one of the spec's."""
    return "." not in key


def _behind_files(steps: Sequence[AnyStep]) -> list[AnyStep]:
    first = steps[0]
    source = Together.model_construct(inputs="{{ inputs }}")
    if isinstance(first, MergeStep):
        return [_end(ExtractStep, first, first.key, source=source), *steps[1:]]
    return [_end(ExtractStep, first, f"{first.key}.in", source=source), *steps]


def _into_files(steps: Sequence[AnyStep]) -> list[AnyStep]:
    last = steps[-1]
    if isinstance(last, RouteStep):
        sink = Spool.model_construct(start="{{ spool }}", split=Routing(last))
        return [*steps[:-1], _end(LoadStep, last, last.key, sink=sink)]
    return [*steps, _end(LoadStep, last, f"{last.key}{INTO_FILES}", sink=Spool.model_construct(start="{{ spool }}"))]


def _end(kind: type[ExtractStep] | type[LoadStep], beside: AnyStep, key: str, **adapter: Any) -> AnyStep:
    on_error = "reject" if beside.on_error == "flag" else beside.on_error
    return kind.model_construct(key=key, on_error=on_error, adapter="", **adapter)


class Routing(Split):
    """The branches of a route."""

    def __init__(self, step: RouteStep):
        fields = [condition.fields() for condition in step.branches.values()]
        self._fields = None if None in fields else frozenset[str]().union(*(each or () for each in fields))
        self._checks = [(name, condition.compile()) for name, condition in step.branches.items()]
        self._all = step.match == "all"
        self._default = step.default
        self._otherwise = () if step.default in CATCH_ALL else (step.default,)

    def ways(self, record: Record) -> Sequence[str]:
        if self._all:
            found = tuple(name for name, check in self._checks if check(record))
        else:
            found = next(((name,) for name, check in self._checks if check(record)), ())
        if not found and self._default == "reject":
            raise RejectRecord("no branch takes it")
        return found or self._otherwise

    def opaque(self, name: str) -> bool:
        return self._fields is not None and not read_by((name,), *self._fields)
