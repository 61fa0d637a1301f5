"""A look at a few records on their way from the source through every step, and at what the sink would do with them.

Nothing is written and no position moves: the source is read from its start, rejects are shown and not stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, aclosing, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from airflow_datahub.contract import Batch, Record, Run, Simulated
from airflow_datahub.engine.chain import Chain, Flow, compiled
from airflow_datahub.engine.naming import naming
from airflow_datahub.engine.partitions import first_of, stream_of
from airflow_datahub.engine.rendering import rendered
from airflow_datahub.engine.secrecy import keeping_secrets, masked_error
from airflow_datahub.errors import ConfigurationError, Interrupted, RunError, StopRun
from airflow_datahub.spec import Pipeline, plan, resolve_params
from airflow_datahub.state import Reject

MOST_BATCHES = 10
"""Batches that are read at most, where none of them brings records enough."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one step made of the records. A position counts the source's records from 0."""

    step: str
    entered: int
    records: tuple[tuple[int, Record], ...]
    """What leaves the step, each with the position of what it was made from."""
    rejects: tuple[Reject, ...] = ()
    filtered: int = 0
    stopped: str | None = None
    """Why a run would end here."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What was seen, step by step."""

    steps: tuple[Seen, ...]
    more: bool
    """Whether the source has more than was looked at."""
    entered_load: int | None = None
    """Records that reach the sink; None where the look ended before it."""
    simulated: Simulated | None = None
    """None where the sink cannot tell what it would do."""
    problem: RunError | None = None
    """Why the sink could not be asked: what a run would fail with."""


def preview(pipeline: Pipeline, run: Run, *, limit: int, until: str | None = None) -> Preview:
    """Take `limit` records through the steps up to `until`, the whole way by default.

    The source is asked for no more pages than that takes, ten at most, and the one behind them. Raises the errors of
    `errors.py`; ConfigurationError for a step that there is not. No secret of a connection is in the log or an error.
    """
    run = keeping_secrets(replace(run, folder=Path(pipeline.file).parent, closing=ExitStack()))
    try:
        with run.closing:
            found = _looked(pipeline, run, limit, until)
    except BaseException as raised:
        error = masked_error(raised, run.mask)
        if error is raised:
            raise
        raise error from None
    if found.problem:
        found = replace(found, problem=cast("RunError", masked_error(found.problem, run.mask)))
    return found


def _looked(pipeline: Pipeline, run: Run, limit: int, until: str | None) -> Preview:
    if until and until not in (keys := [step.key for step in pipeline.steps]):
        raise ConfigurationError(f"pipeline {pipeline.id!r} has no step {until!r}: there are {', '.join(keys)}")
    if plan(pipeline).whole is None:
        raise ConfigurationError(
            f"pipeline {pipeline.id!r} has several stages; a preview follows one line of steps from source to sink. "
            f"Its `tests:` show what becomes of records: `airflow-datahub test {pipeline.file}`"
        )
    run = replace(run, params=resolve_params(pipeline, run.params), revision=pipeline.revision, concurrency=1)
    partition = first_of(pipeline, run)
    run = replace(run, partition=partition)
    values = {"params": run.params, "run_id": run.run_id} | ({"partition": partition.values} if partition else {})
    chain = compiled(pipeline, run, values)
    batch, more = _read(pipeline, run, values, limit)
    steps = list(_through(chain, batch, until))
    found, behind = Preview(tuple(seen for seen, _ in steps), more), steps[-1][1]
    if behind is None or until not in (None, pipeline.load.key):
        return found
    found = replace(found, entered_load=len(behind.records))
    try:
        return replace(found, simulated=_simulated(pipeline, run, values, behind))
    except Interrupted:
        raise
    except RunError as error:
        return replace(found, problem=error)


def _read(pipeline: Pipeline, run: Run, values: Mapping[str, Any], limit: int) -> tuple[Batch, bool]:
    """The first records as one batch, and whether there are more."""
    with naming(pipeline.id, pipeline.extract.key):
        source = rendered(pipeline.extract.source, values)
        source.open(run)
        batches = source.read(run, None)
        if isinstance(batches, AsyncIterator):
            read, more = asyncio.run(_few_of_async(cast("AsyncGenerator[Batch]", batches), limit))
        else:
            with closing(cast("Any", batches)):
                read, more = _few(batches, limit)
    if run.stopping.is_set():
        raise Interrupted(f"pipeline {pipeline.id!r}: stopped")
    records = [record for batch in read for record in batch.records]
    origins = [origin for batch in read for origin in (batch.origins or batch.records)]
    return Batch(records[:limit], None, origins[:limit]), more or len(records) > limit


def _few(batches: Iterator[Batch], limit: int) -> tuple[list[Batch], bool]:
    read: list[Batch] = []
    for batch in batches:
        read.append(batch)
        if _enough(read, limit):
            return read, True
    return read, False


async def _few_of_async(batches: AsyncGenerator[Batch], limit: int) -> tuple[list[Batch], bool]:
    read: list[Batch] = []
    async with aclosing(batches) as pages:
        async for batch in pages:
            read.append(batch)
            if _enough(read, limit):
                return read, True
    return read, False


def _enough(read: Sequence[Batch], limit: int) -> bool:
    """One record more than is shown tells that there are more."""
    return len(read) >= MOST_BATCHES or sum(len(batch.records) for batch in read) > limit


def _through(chain: Chain, batch: Batch, until: str | None) -> Iterator[tuple[Seen, Flow | None]]:
    """What each step made, and the flow behind it; None where it ended."""
    flow: Flow | None = None
    applied: list[tuple[str, Callable[[Flow], Flow] | None]] = [(step.key, step.apply) for step in chain.steps]
    for key, apply in [(chain.extract, None), *applied]:
        entered, before = (len(flow.records), len(flow.rejects)) if flow else (len(batch.records), 0)
        try:
            flow = apply(flow) if apply and flow else chain.objects(batch)
        except StopRun as stop:
            yield Seen(key, entered, (), stopped=str(stop)), None
            return
        # copied, because the next step changes the records where it finds them
        records = tuple((position, dict(each)) for position, each in zip(flow.positions, flow.records, strict=True))
        yield Seen(key, entered, records, tuple(flow.rejects[before:]), flow.counters[key].filtered), flow
        if key == until:
            return


def _simulated(pipeline: Pipeline, run: Run, values: Mapping[str, Any], flow: Flow) -> Simulated | None:
    with naming(pipeline.id, pipeline.load.key):
        sink = rendered(pipeline.load.sink, values)
        return sink.simulate(run, stream_of(pipeline, run.partition), Batch(flow.records, None, flow.origins))
