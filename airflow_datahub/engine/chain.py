"""Takes a batch through the steps between source and sink.

The usual case is optimistic: all records of a batch through one function made of all operators of a step. A record
that it does not carry (an error, several results) goes once more through the exact way, by itself and operator by
operator, where the policy `on_error` is decided; operators are pure: nothing is done twice.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from msgspec import Raw

from airflow_datahub.conditions.condition import Form
from airflow_datahub.contract import (
    Applied,
    Batch,
    BatchFunction,
    Function,
    Opaque,
    Record,
    Run,
    Unreadable,
    alone,
    nothing_opaque,
)
from airflow_datahub.engine.hooking import Calling, HookedStep, Side
from airflow_datahub.engine.projection import Projection, decoded
from airflow_datahub.engine.rendering import rendered
from airflow_datahub.engine.sequence import Sequenced
from airflow_datahub.errors import RejectRecord, RunError, StopRun
from airflow_datahub.inlining import Loop
from airflow_datahub.paths import read_by
from airflow_datahub.spec import AnyStep, ExtractStep, LoadStep, Pipeline, is_on
from airflow_datahub.spec.step_types import Processing
from airflow_datahub.state import Counters, Reject

_ONE_EACH = {dict}

_ERRORS = "_errors"
"""The field in which `on_error: flag` adds to what is there."""


@dataclass(slots=True)
class Flow:
    """Records on their way: each with its origin and its position in the source's batch."""

    records: list[Record]
    origins: Sequence[Any]
    positions: Sequence[int]
    rejects: list[Reject] = field(default_factory=list)
    counters: dict[str, Counters] = field(default_factory=dict)
    again: Callable[[Any], Record] | None = None
    """Makes a record anew from its origin: the records are ours to spoil. None: they are not, copy them first."""


@dataclass(frozen=True, slots=True)
class _Operator:
    name: str
    function: Function
    on_error: str


class _Refused(Exception):
    """A record leaves its step by the policy `reject`."""

    def __init__(self, operator: str, cause: RejectRecord):
        self.operator, self.cause = operator, cause


@dataclass(frozen=True, slots=True)
class Chain:
    """The transform steps of a stage, compiled for one run."""

    extract: str
    on_error: str
    """What becomes of what the source could not read."""
    steps: tuple[CompiledStep | HookedStep, ...]
    projection: Projection
    repeatable: bool = True
    """Whether it gives the same again: hooks and lookups are not asked twice."""

    def apply(self, batch: Batch) -> Flow:
        """What becomes of a batch. Raises StopRun where a step says `on_error: stop`."""
        flow = self.objects(batch)
        for step in self.steps:
            flow = step.apply(flow)
        return flow

    def earlier(self, batch: Batch, position: int) -> int | None:
        """The id of the reject that a record of a batch was before a replay."""
        return None

    def through(self, key: str, flow: Flow) -> Flow:
        """The flow behind one step and the hooks around it."""
        for step in self.steps:
            flow = step.apply(flow) if step.key == key else flow
        return flow

    def apart(self) -> Chain:
        """The same chain for another thread."""
        return replace(self, projection=self.projection.anew())

    def objects(self, batch: Batch) -> Flow:
        """The batch, decoded as far as anybody looks into it, without what is no JSON object."""
        records, again, kinds = batch.records, None, set(map(type, batch.records))
        origins = records if batch.origins is None else batch.origins
        if Raw in kinds:
            records = self.projection.records(records)
            if kinds <= {Raw, Unreadable} and batch.origins is None:  # else a record was not made from its origin
                again = self.projection.record
        counters = Counters(records_in=len(records), records_out=len(records))
        if set(map(type, records)) <= {dict}:
            return Flow(list(records), origins, range(len(records)), counters={self.extract: counters}, again=again)
        good = [i for i, record in enumerate(records) if record.__class__ is dict]
        counters.records_out = len(good)
        unreadable = [_unreadable(self.extract, i, r) for i, r in enumerate(records) if r.__class__ is not dict]
        rejects = set_aside(unreadable, self.on_error, counters)
        kept, kept_origins = [records[i] for i in good], [origins[i] for i in good]
        return Flow(kept, kept_origins, good, rejects, {self.extract: counters}, again)


@dataclass(frozen=True, slots=True)
class CompiledStep:
    """One transform step; without operators (a disabled step) records pass untouched."""

    key: str
    operators: tuple[_Operator, ...]
    fresh: Loop
    """All operators, for records that nobody else has."""
    shared: Loop
    """The same for records of which only the top level may be changed."""

    def apply(self, flow: Flow) -> Flow:
        """The flow behind this step."""
        started = time.perf_counter()
        count = Counters(records_in=len(flow.records))
        after = Flow([], [], [], flow.rejects, {**flow.counters, self.key: count})
        if self.operators:
            try:
                self._optimistic(flow, after, count)
            except RunError as error:
                error.step = error.step or self.key
                raise
        else:
            after = replace(flow, counters=after.counters)
        count.records_out = len(after.records)
        count.seconds = time.perf_counter() - started
        if known := flow.counters.get(self.key):
            after.counters[self.key] = known.behind(count)
        return after

    def _optimistic(self, flow: Flow, after: Flow, count: Counters) -> None:
        """All records at once; those that cannot be carried so go by themselves."""
        records = self.fresh(flow.records) if flow.again else self.shared([record.copy() for record in flow.records])
        after.records, after.origins, after.positions = records, flow.origins, flow.positions
        if set(map(type, records)) <= _ONE_EACH:
            return
        several = [
            [record] if record.__class__ is dict else self._oddly(record, flow, index, after.rejects, count)
            for index, record in enumerate(records)
        ]
        indices = [index for index, results in enumerate(several) for _ in results]
        after.records = [record for results in several for record in results]
        after.origins = [flow.origins[index] for index in indices]
        after.positions = [flow.positions[index] for index in indices]

    def _oddly(self, result: Any, flow: Flow, index: int, rejects: list[Reject], count: Counters) -> list[Record]:
        """A record that did not become exactly one."""
        if result is None:
            count.filtered += 1
            return []
        record = flow.again(flow.origins[index]) if flow.again else flow.records[index]
        return self._exactly(record, flow.positions[index], rejects, count)

    def _exactly(self, record: Record, position: int, rejects: list[Reject], count: Counters) -> list[Record]:
        """One record, operator by operator; a reject takes the whole record out, whatever it had become."""
        live = [record.copy()]
        filtered = 0
        try:
            for operator in self.operators:
                results = [_results(_attempt(self.key, operator, each)) for each in live]
                filtered += sum(not each for each in results)
                live = [one for each in results for one in each]
        except _Refused as refused:
            cause = refused.cause
            rejects.append(Reject(position, self.key, refused.operator, cause.field, cause.reason, decoded(record)))
            count.rejected += 1
            return []
        count.filtered += filtered
        count.made += len(live) + filtered - 1
        return live


def compiled(
    pipeline: Pipeline, run: Run, values: dict[str, Any], ask: Callable[[], Opaque] = lambda: nothing_opaque
) -> Chain:
    """The chain of a pipeline's transform steps, with templates rendered from `values`; `ask` asks the sink which
    fields it takes undecoded."""
    calling, parts = Calling(pipeline, run), list[CompiledStep | HookedStep]()
    for step in pipeline.steps:
        before, after = _hooked("before", step, calling), _hooked("after", step, calling)
        parts += before if not isinstance(step, ExtractStep) else []
        parts += [_compiled_step(step, run, values)] if isinstance(step, Processing) else []
        parts += after if not isinstance(step, LoadStep) else []
    steps = [step for step in pipeline.steps if isinstance(step, Processing) and is_on(step, run.params)]
    hooked = any(isinstance(part, HookedStep) for part in parts)
    projection = Projection(ask, _into_all if hooked else partial(_carried, steps))
    repeatable = not hooked and not any(each.transform.asks() for step in steps for each in step.operators)
    return Chain(pipeline.extract.key, pipeline.extract.on_error, tuple(parts), projection, repeatable)


def _hooked(side: Side, step: AnyStep, calling: Calling) -> list[HookedStep]:
    """The hooks at one side of a step, where it is on."""
    if not getattr(calling.pipeline.hooks, side).get(step.key) or not is_on(step, calling.run.params):
        return []
    return [HookedStep(step.key, side, calling.around(side, step.key), step.on_error)]


def _into_all(names: tuple[str, ...]) -> None:
    """Hooks may look into everything."""


def _carried(steps: Sequence[Processing], names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The path behind all steps of what is at `names`; None where one of them may look into it."""
    for step in steps:
        for operator in step.operators:
            before = names
            names = None if names is None or names[0] == _ERRORS else operator.transform.carries(names)
            if names != before and ((operator.on_error or step.on_error) == "flag" or operator.condition):
                return None  # a record that the operator does not serve goes on with the old name
            if names is not None and operator.condition and _asks_for(operator.condition, names):
                return None
    return names


def _asks_for(condition: Form, names: tuple[str, ...]) -> bool:
    fields = condition.fields()
    return fields is None or read_by(names, *fields)


def _compiled_step(step: Processing, run: Run, values: dict[str, Any]) -> CompiledStep:
    operators: list[_Operator] = []
    fresh, shared = Sequenced(fresh=True), Sequenced(fresh=False)
    answers = partial(run.answers, step.key) if run.answers else None
    for each in step.operators if is_on(step, run.params) else ():
        transform = rendered(each.transform, values)
        own, holds = replace(run, answers=answers), each.condition.compile() if each.condition else None
        batch = _named(each.name, transform.compile_batch(own))
        function = alone(batch) if batch else transform.compile(own)
        apply = _where(holds, function) if holds else function
        operators.append(_Operator(each.name, apply, each.on_error or step.on_error))
        for code in (fresh, shared):
            if batch:
                code.then(batch, holds)
            else:
                code.inline(transform, function, holds)
    return CompiledStep(step.key, tuple(operators), fresh.loop(), shared.loop())


def _named(name: str, batch: BatchFunction | None) -> BatchFunction | None:
    """The operator's name in the text of what goes wrong; one thread at a time, since it may remember."""
    if batch is None:
        return None
    one_by_one = threading.Lock()

    def serve(records: Sequence[Record]) -> Sequence[Record | RejectRecord | None]:
        try:
            with one_by_one:
                return batch(records)
        except RunError as error:
            error.args = (f"operator {name!r}: {error}", *error.args[1:])
            raise

    return serve


def _where(holds: Callable[[Record], bool], function: Function) -> Function:
    """The operator for those records of which its `if` holds."""
    return lambda record: function(record) if holds(record) else record


def _attempt(step: str, operator: _Operator, record: Record) -> Applied:
    """The operator's result, or what its policy makes of its error."""
    try:
        return operator.function(record.copy())
    except RunError:
        raise
    except Exception as error:
        cause = error if isinstance(error, RejectRecord) else RejectRecord(f"{type(error).__name__}: {error}"[:500])
        return _POLICIES[operator.on_error](step, operator.name, record, cause)


def _reject(step: str, operator: str, record: Record, cause: RejectRecord) -> Applied:
    raise _Refused(operator, cause)


def _drop(step: str, operator: str, record: Record, cause: RejectRecord) -> Applied:
    return None


def _flag(step: str, operator: str, record: Record, cause: RejectRecord) -> Applied:
    error = {"step": step, "operator": operator, "field": cause.field, "reason": cause.reason}
    known = record.get(_ERRORS)
    return {**record, _ERRORS: [*(known if isinstance(known, list) else []), error]}


def _stop(step: str, operator: str, record: Record, cause: RejectRecord) -> Applied:
    raise _stopped(step, operator, cause.field, cause.reason)


def _stopped(step: str, operator: str | None, field: str | None, reason: str) -> StopRun:
    where = [f"operator {operator!r}"] if operator else []
    where += [f"field {field!r}"] if field else []
    stop = StopRun(f"{', '.join(where) or 'a record'}: {reason} (on_error: stop)")
    stop.step = step
    return stop


_POLICIES: dict[str, Callable[[str, str, Record, RejectRecord], Applied]] = {
    "reject": _reject,
    "drop": _drop,
    "flag": _flag,
    "stop": _stop,
}


def _results(applied: Applied) -> list[Record]:
    if applied is None:
        return []
    return applied if isinstance(applied, list) else [applied]


def set_aside(rejects: list[Reject], on_error: str, counters: Counters) -> list[Reject]:
    """What source or sink could not take, by the step's policy: kept as rejects, dropped, or StopRun."""
    if rejects and on_error == "stop":
        raise _stopped(rejects[0].step, None, rejects[0].field, rejects[0].reason)
    if on_error == "drop":
        counters.filtered += len(rejects)
        return []
    counters.rejected += len(rejects)
    return rejects


def _unreadable(step: str, position: int, value: Any) -> Reject:
    if isinstance(value, Unreadable):
        return Reject(position, step, None, None, value.reason, value.payload)
    return Reject(position, step, None, None, f"a record must be a JSON object, this is {type(value).__name__}", value)
