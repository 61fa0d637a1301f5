"""A replay: rejects go once more through the pipeline, each from the step that refused it on (R11).

A replay has a scope of its own, so it never touches the position of the source. Its source are the rejects that it has
taken, in their order; the name of each goes into the sink's inbox with its rows, so that it is applied once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from airflow_datahub.contract import Batch, Cursor, Run, Source, Stream, Unreadable
from airflow_datahub.engine.chain import Chain, Flow
from airflow_datahub.errors import ConfigurationError
from airflow_datahub.spec import ExtractStep, Pipeline, loads, plan
from airflow_datahub.spec.models import Expect
from airflow_datahub.state import RejectRow, Which
from airflow_datahub.state.sealing import encoded
from airflow_datahub.state.store import Store

PAGE = 500
"""Rejects that are read at once, of 8 MiB at most."""

Known = MutableMapping[str, tuple[int, str]]
"""By the name of a reject: its id, and the step that refused it."""


@dataclass(frozen=True)
class Replaying:
    """The rejects of one run that replays."""

    store: Store
    pipeline: Pipeline
    run: Run
    known: Known = field(default_factory=dict)

    def part(self) -> Pipeline:
        """The pipeline with the rejects for its source; how many of them are refused again is not judged."""
        first = self.pipeline.extract
        source = Taken.model_construct(replaying=self)
        extract = ExtractStep.model_construct(key=first.key, on_error=first.on_error, adapter="", source=source)
        judged = {"expect": Expect(), "rejects": self.pipeline.rejects.model_copy(update={"max": None})}
        return self.pipeline.model_copy(update={"steps": (extract, *self.pipeline.steps[1:]), **judged})

    def stream(self, live: Stream) -> Stream:
        """The pipeline's stream, in the scope of this replay."""
        return replace(live, scope=f"replay:{self.run.run_id}")

    def chain(self, chain: Chain) -> Chain:
        """The pipeline's chain, which each record enters where it was refused."""
        own = {each.name: getattr(chain, each.name) for each in fields(Chain)}
        return ReplayChain(**own, known=self.known)


class Taken(Source):
    """The rejects that a replay has taken; the cursor is the id of the last one."""

    replaying: Any
    """The replay."""

    def read(self, run: Run, cursor: Cursor | None) -> Iterator[Batch]:
        replaying, after = self.replaying, cursor or 0
        while rows := replaying.store.replays.taken(replaying.pipeline.id, replaying.run.run_id, after, PAGE):
            after, names = rows[-1].id, [name_of(row) for row in rows]
            replaying.known.update({name: (row.id, row.step) for name, row in zip(names, rows, strict=True)})
            size = sum(len(encoded(row.record)) for row in rows)
            yield Batch([_record(row) for row in rows], cursor=after, size=size, ids=names)


def name_of(row: RejectRow) -> str:
    """What no other reject is called, also of another store: its commit was made by one try of one run."""
    place = (row.pipeline, row.stream, row.scope, row.owner, row.version, row.position, row.step, row.id)
    return f"reject:{hashlib.sha256(repr(place).encode()).hexdigest()[:32]}"


def _record(row: RejectRow) -> Any:
    if row.unreadable:
        return Unreadable(row.unreadable, "")
    return row.record if isinstance(row.record, dict) else Unreadable(row.reason, str(row.record))


@dataclass(frozen=True, slots=True)
class ReplayChain(Chain):
    """The steps of a pipeline for records that enter them where they were refused."""

    known: Mapping[str, tuple[int, str]] = field(default_factory=dict)

    def apply(self, batch: Batch) -> Flow:
        """What becomes of a batch: before each step come those that it refused before."""
        whole = self.objects(batch)
        entering = self._entering(whole, batch)
        flow = replace(whole, records=[], origins=[], positions=[], again=None)
        for step in self.steps:
            flow = step.apply(_joined(flow, whole, entering.pop(step.key, [])))
        flow = _joined(flow, whole, [index for rest in entering.values() for index in rest])
        flow.rejects = [replace(each, earlier=self.earlier(batch, each.position)) for each in flow.rejects]
        return flow

    def earlier(self, batch: Batch, position: int) -> int | None:
        """The id of the reject that a record was."""
        return self.known[batch.ids[position]][0] if batch.ids else None

    def _entering(self, whole: Flow, batch: Batch) -> dict[str, list[int]]:
        """By step: which of the records enter it. What the source could not read enters the first."""
        first = self.steps[0].key if self.steps else ""
        found: dict[str, list[int]] = {}
        for index, position in enumerate(whole.positions):
            step = self.known[batch.ids[position]][1] if batch.ids else first
            found.setdefault(first if step == self.extract else step, []).append(index)
        return found


def _joined(flow: Flow, whole: Flow, indices: list[int]) -> Flow:
    """The flow and those records of the whole, in the order of the source."""
    if not indices:
        return flow
    own = [(whole.positions[i], whole.records[i], whole.origins[i]) for i in indices]
    rows = [*zip(flow.positions, flow.records, flow.origins, strict=True), *own]
    positions, records, origins = zip(*sorted(rows, key=lambda row: row[0]), strict=True)
    return replace(flow, positions=list(positions), records=list(records), origins=list(origins), again=None)


def begun_replay(pipeline: Pipeline, run: Run, store: Store, which: Which) -> Replaying:
    """Take the rejects that are wanted, unless a try before has done so. ConfigurationError where they cannot be
    replayed, and then none is taken."""
    _check(pipeline)
    count = store.replays.take(pipeline.id, run.run_id, which)
    absent = [step for step in store.replays.steps(pipeline.id, run.run_id) if step not in pipeline.order]
    if absent:
        store.replays.free(pipeline.id, run.run_id)
        raise ConfigurationError(
            f"step {absent[0]!r} has refused some of them and is not in pipeline {pipeline.id!r} any more: leave them "
            f"out, or replay them with the revision that they are of (`--revision original`)"
        )
    run.log.info("replay_begun", rejects=count)
    return Replaying(store, pipeline, run)


def _check(pipeline: Pipeline) -> None:
    if plan(pipeline).whole is None:
        raise ConfigurationError(f"pipeline {pipeline.id!r} has several stages: rejects of a graph cannot be replayed")
    if reason := pipeline.load.sink.not_replayed():
        raise ConfigurationError(f"pipeline {pipeline.id!r}, step {pipeline.load.key!r}: {reason}")


def original_of(pipeline: Pipeline, store: Store, which: Which) -> Pipeline:
    """The pipeline in the revision that these rejects are of. ConfigurationError where that is not one, or not kept."""
    revisions = store.replays.revisions(pipeline.id, which)
    if len(revisions) != 1:
        raise ConfigurationError(
            f"these rejects are of {len(revisions)} revisions: replay those of one run after the other"
            if revisions
            else "there is no open reject of these"
        )
    if revisions[0] == pipeline.revision:
        return pipeline
    kept = store.revisions.get(pipeline.id, revisions[0])
    if kept is None:
        raise ConfigurationError(f"the store does not have the text of revision {revisions[0][:12]}")
    return loads(kept.text, str(pipeline.file)).model_copy(update={"file": pipeline.file})
