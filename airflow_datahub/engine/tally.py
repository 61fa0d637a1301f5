"""What a run has counted, over all its tries: it travels in the checkpoint, so it is as exact as the rows."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import msgspec

from airflow_datahub.contract import Checkpoint
from airflow_datahub.errors import ConfigurationError, RunFailed, StopRun
from airflow_datahub.spec import Pipeline
from airflow_datahub.spec.words import Share
from airflow_datahub.state import Counters

ENOUGH_TO_JUDGE = 1000
"""Records in from which on a share of rejects is judged at commits."""


class Tally:
    """Counters by step; written by the committing thread, read by the one that reports."""

    def __init__(self, pipeline: Pipeline, run_id: str, before: tuple[int, int] | None = None):
        """`before`: records that sources gave to the stages before this one, and their rejects; None: it begins with a
        source."""
        self._pipeline = pipeline
        self._run_id = run_id
        self._before = before
        self._places = {key: place for place, key in enumerate(pipeline.order)}
        self._steps = {step.key: Counters() for step in pipeline.steps}
        self._lock = threading.Lock()

    def continue_from(self, checkpoint: Checkpoint | None) -> None:
        """Take over what earlier tries of the same run had counted."""
        if checkpoint and checkpoint.counters.get("run") == self._run_id:
            known = _steps(checkpoint.counters)
            self._steps |= {key: counts for key, counts in known.items() if key in self._steps}

    def with_load(self, load: Mapping[str, Counters]) -> Mapping[str, Counters]:
        """The counters as they are once the load is committed; RunFailed where a step does not balance (R10)."""
        for key, counts in load.items():
            if not counts.balances(sink=key == self._pipeline.load.key):
                raise RunFailed(f"step {key!r} does not balance, nothing of this batch is written: {counts}")
        with self._lock:
            return {key: counts + load.get(key, Counters()) for key, counts in self._steps.items()}

    def as_json(self, steps: Mapping[str, Counters]) -> dict[str, Any]:
        """What the checkpoint keeps of them."""
        return {"run": self._run_id, "steps": {key: asdict(counts) for key, counts in steps.items()}}

    def keep(self, steps: Mapping[str, Counters]) -> None:
        """The load is committed: these are the counters now."""
        with self._lock:
            self._steps = dict(steps)

    @property
    def steps(self) -> dict[str, Counters]:
        """By step key."""
        with self._lock:
            return dict(self._steps)

    @property
    def shown(self) -> dict[str, Counters]:
        """By step key, of the steps that the spec has."""
        return {key: counts for key, counts in self.steps.items() if key in self.places}

    @property
    def places(self) -> Mapping[str, int]:
        """Where those steps stand in the spec."""
        return self._places

    @property
    def read(self) -> int:
        """Records out of the source."""
        return self.steps[self._pipeline.steps[0].key].records_in

    @property
    def rejected(self) -> int:
        """Rejects of all steps."""
        return sum(counts.rejected for counts in self.steps.values())

    def judge(self, *, at_end: bool) -> None:
        """StopRun when there are more rejects than `rejects.max`, or at the end too few records."""
        read, rejected = self._before or (self.read, 0)
        _judge_rejects(self._pipeline, rejected + self.rejected, read, at_end)
        if at_end and self._before is None:
            judge_records(self._pipeline, read)


def judge_whole(pipeline: Pipeline, steps: Mapping[str, Counters]) -> None:
    """The same for all partitions of a run together, by what their steps have counted."""
    read = steps.get(pipeline.extract.key, Counters()).records_in
    _judge_rejects(pipeline, sum(counts.rejected for counts in steps.values()), read, at_end=True)
    judge_records(pipeline, read)


def _judge_rejects(pipeline: Pipeline, rejected: int, read: int, at_end: bool) -> None:
    most = pipeline.rejects.max
    if most is None or (isinstance(most, Share) and not at_end and read < ENOUGH_TO_JUDGE):
        return
    if rejected > (most.part * read if isinstance(most, Share) else most):
        raise StopRun(
            f"{rejected:,} of {read:,} records were rejected, rejects.max allows {most}; "
            f"`airflow-datahub rejects list --pipeline {pipeline.id}` shows them with their reasons"
        )


def judge_records(pipeline: Pipeline, read: int) -> None:
    """StopRun when the sources gave too few records."""
    least = pipeline.expect.min_records
    if read < least:
        raise StopRun(f"the source gave {read:,} records, expect.min_records says {least:,}")


def _steps(counters: Mapping[str, Any]) -> Mapping[str, Counters]:
    """The counters that a checkpoint keeps; ConfigurationError where somebody changed them."""
    try:
        return msgspec.convert(counters.get("steps", {}), dict[str, Counters])
    except msgspec.ValidationError as error:
        raise ConfigurationError(
            f"the counters in the checkpoint are damaged ({error}): `airflow-datahub checkpoint set SPEC` goes on "
            f"without them"
        ) from error
