"""A replay: rejects go once more through the pipeline, each from the step that refused it on (R11).

A replay has a scope of its own, so it never touches the position of the source. Its source are the rejects that it has
taken, in their order; the name of each goes into the sink's inbox with its rows, so that it is applied once. Of a graph
each stage begins with those that one of its steps has refused, and goes on with what the stages before it hand on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from airflow_datahub.contract import Batch, Cursor, Run, Source, Stream, Unreadable
from airflow_datahub.engine.chain import Chain, Flow
from airflow_datahub.engine.hooking import HOOKS, HookedStep
from airflow_datahub.engine.parts import INTO_FILES, off
from airflow_datahub.errors import ConfigurationError
from airflow_datahub.replayed import entry_of, named, reject_of
from airflow_datahub.spec import ExtractStep, LoadStep, Pipeline, Stage, loads, plan
from airflow_datahub.spec.models import Expect
from airflow_datahub.state import Counters, RejectRow, Replay, Which
from airflow_datahub.state.sealing import encoded
from airflow_datahub.state.store import Store

PAGE = 500
"""Rejects that are read at once, of 8 MiB at most."""

Place = tuple[int, int]
"""Where a record enters: the number of a step in its stage, and before it, at it, behind it or in its files."""

_SIDES = {"before": 0, "": 1, "after": 2, INTO_FILES.removeprefix("."): 3}


@dataclass(frozen=True)
class Replaying:
    """The rejects of one run that replays, as one stage sees them."""

    store: Store
    run: Run
    stage: Stage

    def part(self, part: Pipeline, then: Source | None) -> Pipeline:
        """The pipeline of the stage with the rejects for its source, and what is read behind them."""
        first = part.extract
        source = Taken.model_construct(replaying=self, then=then)
        extract = ExtractStep.model_construct(key=first.key, on_error=first.on_error, adapter="", source=source)
        return part.model_copy(update={"steps": (extract, *part.steps[1:])})

    def stream(self, live: Stream) -> Stream:
        """The stage's stream, in the scope of this replay."""
        return replace(live, scope=f"replay:{self.run.run_id}")

    def chain(self, chain: Chain) -> Chain:
        """The stage's chain, which each record enters where it was refused."""
        own = {each.name: getattr(chain, each.name) for each in fields(Chain)}
        return ReplayChain(**own, places={key: number for number, key in enumerate(self.stage.steps)})

    def taken(self, after: int) -> list[RejectRow]:
        """The next rejects of the stage."""
        steps = [name for key in self.stage.steps for name in (key, f"{key}{INTO_FILES}")]
        return self.store.replays.taken(self.run.pipeline, self.run.run_id, steps, after, PAGE)


class Taken(Source):
    """The rejects that enter a stage, then what the stages before it hand on. The cursor is the id of the last reject,
    or, behind them all, that of the files."""

    replaying: Any
    """The replay."""

    then: Any
    """Source of what is handed on; None: there is none."""

    def renewed(self, run: Run, cursor: Cursor | None) -> bool:
        return isinstance(cursor, dict) and self.then.renewed(run, cursor)

    def read(self, run: Run, cursor: Cursor | None) -> Iterator[Batch]:
        in_files = isinstance(cursor, dict)
        if not in_files:
            yield from self._rejects(cursor or 0)
        if self.then:
            yield from self.then.read(run, cursor if in_files else None)

    def _rejects(self, after: int) -> Iterator[Batch]:
        while rows := self.replaying.taken(after):
            after = rows[-1].id
            size = sum(len(encoded(row.record)) for row in rows)
            yield Batch([_record(row) for row in rows], cursor=after, size=size, ids=[name_of(row) for row in rows])


def name_of(row: RejectRow) -> str:
    """What no other reject is called, also of another store: its commit was made by one try of one run."""
    side = f".{row.operator.removeprefix(HOOKS)}" if row.operator and row.operator.startswith(HOOKS) else ""
    place = (row.pipeline, row.stream, row.scope, row.owner, row.version, row.position)
    return named(row.id, f"{row.step}{side}", place)


def _record(row: RejectRow) -> Any:
    if row.unreadable:
        return Unreadable(row.unreadable, "")
    return row.record if isinstance(row.record, dict) else Unreadable(row.reason, str(row.record))


@dataclass(frozen=True, slots=True)
class ReplayChain(Chain):
    """The steps of a stage for records that enter them where they were refused."""

    places: Mapping[str, int] = field(default_factory=dict)
    """The number of each step."""

    def apply(self, batch: Batch) -> Flow:
        """What becomes of a batch: before each step come those that it refused before."""
        whole = self.objects(batch)
        entering = [self._place(entry_of(batch.ids[position])) for position in whole.positions] if batch.ids else []
        flow = replace(whole, records=[], origins=[], positions=[], again=None)
        left = list(range(len(entering)))
        for step in self.steps:
            here = self._place(f"{step.key}.{step.side}" if isinstance(step, HookedStep) else step.key)
            now = [index for index in left if entering[index] <= here]
            flow = step.apply(_counted(_joined(flow, whole, now), step.key))
            left = [index for index in left if entering[index] > here]
        flow = _joined(flow, whole, left)
        if self.steps and getattr(self.steps[-1], "side", "") == "before":  # then it belongs to the sink
            flow = _counted(flow, self.steps[-1].key)
        flow.rejects = [replace(each, earlier=self.earlier(batch, each.position)) for each in flow.rejects]
        return flow

    def earlier(self, batch: Batch, position: int) -> int | None:
        """The id of the reject that a record was."""
        return reject_of(batch.ids[position]) if batch.ids else None

    def _place(self, entry: str) -> Place:
        """What is handed on enters at the start, as does what the source could not read."""
        key, _, side = entry.partition(".")
        if entry in ("", self.extract):
            return 0, 0
        return self.places[key], _SIDES[side]


def _joined(flow: Flow, whole: Flow, indices: list[int]) -> Flow:
    """The flow and those records of the whole, in the order of the source."""
    if not indices:
        return flow
    own = [(whole.positions[i], whole.records[i], whole.origins[i]) for i in indices]
    rows = [*zip(flow.positions, flow.records, flow.origins, strict=True), *own]
    positions, records, origins = zip(*sorted(rows, key=lambda row: row[0]), strict=True)
    return replace(flow, positions=list(positions), records=list(records), origins=list(origins), again=None)


def _counted(flow: Flow, key: str) -> Flow:
    """The flow into the next part of a step: what enters there counts as if it had come through the part before."""
    known = flow.counters.get(key)
    if known is None:
        return flow
    more = len(flow.records) - known.records_out
    return replace(flow, counters={**flow.counters, key: known + Counters(records_in=more, records_out=more)})


def not_judged(pipeline: Pipeline) -> Pipeline:
    """The pipeline of a replay: how many records there are, and how many are refused again, is not judged."""
    rejects = pipeline.rejects.model_copy(update={"max": None})
    return pipeline.model_copy(update={"expect": Expect(), "rejects": rejects})


def begun_replay(pipeline: Pipeline, stage: Stage, run: Run, store: Store, replay: Replay) -> Replaying:
    """Take the rejects that are wanted, unless a task before has done so. ConfigurationError where they cannot be
    replayed, and then none is taken."""
    _check_loads(pipeline)
    count = store.replays.take(pipeline.id, run.run_id, replay.which, replay.actor)
    try:
        if not count and not stage.alone:  # a later stage might find some that entered at one that has ended
            raise ConfigurationError(f"pipeline {pipeline.id!r}: none of its rejects is open and chosen")
        _check_entries(pipeline, store.replays.steps(pipeline.id, run.run_id), run.params)
    except ConfigurationError:
        store.replays.free(pipeline.id, run.run_id)
        raise
    run.log.info("replay_goes_on", rejects=count)
    return Replaying(store, run, stage)


def _check_loads(pipeline: Pipeline) -> None:
    for step in pipeline.steps:
        if isinstance(step, LoadStep) and (reason := step.sink.not_replayed()):
            raise ConfigurationError(f"pipeline {pipeline.id!r}, step {step.key!r}: {reason}")


def _check_entries(pipeline: Pipeline, refused_by: list[str], params: Mapping[str, Any]) -> None:
    """All steps that have refused something must be there, in stages that run."""
    stage_of = {key: stage for stage in plan(pipeline).stages for key in stage.steps}
    for key in refused_by:
        stage = stage_of.get(key.removesuffix(INTO_FILES))
        if stage is None:
            raise ConfigurationError(
                f"step {key!r} has refused some of them and is not in pipeline {pipeline.id!r} any more: leave them "
                f"out, or replay them with the revision that they are of (`--revision original`)"
            )
        if why := off(pipeline, stage, params):
            raise ConfigurationError(f"pipeline {pipeline.id!r}, step {key!r} has refused some of them: {why}")


def original_of(pipeline: Pipeline, run_id: str, store: Store, which: Which) -> Pipeline:
    """The pipeline in the revision that these rejects are of, or that the replay has begun with. ConfigurationError
    where that is not one, or not kept."""
    if store.run(pipeline.id, run_id):
        return pipeline  # the engine takes what it has begun with
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
