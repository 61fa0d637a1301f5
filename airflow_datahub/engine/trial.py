"""Runs the `tests:` of a spec: no network, no sink, no Airflow; milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from airflow_datahub.contract import Batch, Run
from airflow_datahub.engine.chain import Flow, compiled
from airflow_datahub.errors import DatahubError
from airflow_datahub.spec import Pipeline, PipelineTest, resolve_params


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
    run = Run(pipeline=pipeline.id, run_id="test", started=test.now, params=params)
    chain = compiled(pipeline, run, {"params": params, "run_id": run.run_id})
    flow = chain.objects(Batch(list(test.given.get(chain.extract, ()))))
    entered: dict[str, list[Any]] = {chain.extract: flow.records}
    for step in chain.steps:
        flow = _with_given(flow, test.given.get(step.key, ()))
        entered[step.key] = flow.records
        flow = step.apply(flow)
    entered[pipeline.load.key] = [*flow.records, *test.given.get(pipeline.load.key, ())]
    rejects = [{"step": each.step, "operator": each.operator, "reason": each.reason} for each in flow.rejects]
    return entered, rejects


def _with_given(flow: Flow, records: Sequence[Any]) -> Flow:
    """The flow before a step, with the records that the test lets enter it."""
    if not records:
        return flow
    nowhere = [-1] * len(records)
    return Flow(
        [*flow.records, *records], [*flow.origins, *records], [*flow.positions, *nowhere], flow.rejects, flow.counters
    )


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
