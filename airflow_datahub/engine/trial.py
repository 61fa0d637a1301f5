"""Runs the `tests:` of a spec: no network, no sink, no Airflow; milliseconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from airflow_datahub.contract import Batch, Partition, Run
from airflow_datahub.engine.chain import Flow, compiled, set_aside
from airflow_datahub.engine.partitions import first_of
from airflow_datahub.engine.parts import Routing
from airflow_datahub.errors import ConfigurationError, DatahubError, RejectRecord
from airflow_datahub.spec import AnyStep, ExtractStep, Pipeline, PipelineTest, RouteStep, is_on, resolve_params
from airflow_datahub.spec.models import Answered
from airflow_datahub.spec.plan import stops
from airflow_datahub.state import Counters, Reject


@dataclass(frozen=True)
class Verdict:
    """How one test of a spec ended; without complaints it passed."""

    name: str
    complaints: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """All that was expected came, and nothing else."""
        return not self.complaints


def try_pipeline(pipeline: Pipeline) -> list[Verdict]:
    """Run all tests of a pipeline."""
    return [Verdict(test.name, tuple(_complaints(pipeline, test))) for test in pipeline.tests]


def _complaints(pipeline: Pipeline, test: PipelineTest) -> list[str]:
    try:
        entered, rejects = _entered(pipeline, test)
    except DatahubError as error:
        return [f"the run ended with {type(error).__name__}: {error}"]
    found = []
    for step, wanted in test.expect.items():
        found += _differences(f"step {step!r}", wanted, entered[step])
    wanted_rejects = [{k: v for k, v in each.model_dump().items() if v is not None} for each in test.rejects]
    return found + _differences("rejects", wanted_rejects, _as_wanted(rejects, wanted_rejects))


def _entered(pipeline: Pipeline, test: PipelineTest) -> tuple[dict[str, list[Any]], list[dict[str, Any]]]:
    """What enters each step, and the rejects."""
    params = resolve_params(pipeline, test.params)
    run = Run(
        pipeline=pipeline.id, run_id="test", started=test.now, params=params, folder=Path(pipeline.file).parent,
        answers=partial(_answer, test.answers),
    )  # fmt: skip
    trial = _Trial(pipeline, test, run)
    for step in pipeline.steps:
        trial.pass_(step)
    rejects = [{"step": each.step, "operator": each.operator, "reason": each.reason} for each in trial.rejects]
    return trial.entered, rejects


def _answer(answers: Mapping[str, Sequence[Answered]], step: str, request: Any) -> Any:
    for each in answers.get(step, ()):
        if _canonical(each.request) == _canonical(request):
            return each.answer
    raise ConfigurationError(
        f"step {step!r} asks {_canonical(request)}, and the test's `answers` do not say what comes"
    )


class _Trial:
    """Records on their way through the graph."""

    def __init__(self, pipeline: Pipeline, test: PipelineTest, run: Run):
        self._pipeline, self._test, self._run = pipeline, test, run
        values = {"params": run.params, "run_id": run.run_id} | _partition(pipeline, run)
        self._compiled = compiled(pipeline, run, values)
        self._left: dict[tuple[str, str | None], Flow] = {}
        """By step, and branch of a route: what has left it."""
        self.entered: dict[str, list[Any]] = {}
        self.rejects: list[Reject] = []

    def pass_(self, step: AnyStep) -> None:
        """Let everything that leads to the step pass it, and what the test lets enter it."""
        given = list(self._test.given.get(step.key, ()))
        if isinstance(step, ExtractStep):
            reader = replace(self._compiled, extract=step.key, on_error=step.on_error)
            flow = reader.objects(Batch(given))
            self.rejects += flow.rejects
        else:
            flow = _with_given(self._before(step), given)
        self.entered[step.key] = flow.records
        self._leave(step, flow)

    def _before(self, step: AnyStep) -> Flow:
        into = [edge for edge in self._pipeline.edges if edge.target == step.key]
        together = Flow([], [], [])
        for edge in into:
            flow = self._left.get((edge.source, edge.branch), Flow([], [], []))
            together.records += flow.records
            together.origins = [*together.origins, *flow.origins]
            together.positions = [*together.positions, *flow.positions]
        return together

    def _leave(self, step: AnyStep, flow: Flow) -> None:
        if stops(step) and not is_on(step, self._run.params):
            return
        after = self._compiled.through(step.key, replace(flow, rejects=[]))
        self.rejects += after.rejects
        if isinstance(step, RouteStep):
            self._route(step, after)
        else:
            self._left[step.key, None] = after

    def _route(self, step: RouteStep, flow: Flow) -> None:
        routing = Routing(step)
        ways: list[Sequence[str]] = []
        refused = []
        for index, record in enumerate(flow.records):
            try:
                ways.append(routing.ways(record))
            except RejectRecord as error:
                ways.append(())
                refused.append(Reject(index, step.key, None, error.field, error.reason, record))
        self.rejects += set_aside(refused, step.on_error, Counters())
        for branch in step.ways:
            self._left[step.key, branch] = _only(flow, [index for index, way in enumerate(ways) if branch in way])


def _partition(pipeline: Pipeline, run: Run) -> dict[str, Any]:
    """The first one stands for all; a source that would have to be asked for it is not."""
    steps = [step for step in pipeline.steps if isinstance(step, ExtractStep) and step.partition]
    if not steps:
        return {}
    named = steps[0].partition and steps[0].partition.by == "source"
    found = Partition("") if named else first_of(pipeline, run) or Partition("")
    return {"partition": found.values}


def _only(flow: Flow, indices: Sequence[int]) -> Flow:
    origins, positions = ([each[index] for index in indices] for each in (flow.origins, flow.positions))
    return Flow([flow.records[index] for index in indices], origins, positions)


def _with_given(flow: Flow, records: Sequence[Any]) -> Flow:
    """The flow before a step, with the records that the test lets enter it."""
    nowhere = [-1] * len(records)
    return Flow([*flow.records, *records], [*flow.origins, *records], [*flow.positions, *nowhere])


def _as_wanted(rejects: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rejects, each cut to the keys that the test names for it; a reason may be named by a part of it."""
    cut = []
    for i, reject in enumerate(rejects):
        want = wanted[i] if i < len(wanted) else reject
        one = {key: reject[key] for key in want}
        if "reason" in want and str(want["reason"]) in str(reject["reason"]):
            one["reason"] = want["reason"]
        cut.append(one)
    return cut


def _differences(where: str, wanted: Sequence[Any], found: Sequence[Any]) -> list[str]:
    """Each record that differs, as canonical JSON."""
    said = []
    for i in range(max(len(wanted), len(found))):
        want = _canonical(wanted[i]) if i < len(wanted) else "nothing"
        got = _canonical(found[i]) if i < len(found) else "nothing"
        if want != got:
            said.append(f"{where}, record {i + 1}:\n  expected {want}\n  got      {got}")
    return said


def _canonical(value: Any) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()
