"""What a person may do with the checkpoint of a pipeline: look at it, move it, go on in spite of a change, start over.

A move is fenced like any commit: the version moves on, so a run that is under way ends at its next commit. Nothing is
deleted, because a version that began anew would let such a run pass.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from airflow_datahub.contract import CHECKPOINT_FORMAT, Checkpoint, Checkpoints, Kept, Partition, Run, Stream
from airflow_datahub.engine.naming import naming
from airflow_datahub.engine.partitions import stream_of
from airflow_datahub.engine.rendering import rendered
from airflow_datahub.errors import ConfigurationError, StopRun
from airflow_datahub.spec import ExtractStep, Pipeline, plan
from airflow_datahub.state.store import Store

TRIES = 5
"""A run that commits meanwhile makes a move fail; then it is tried again on what the run has left."""


@dataclass(frozen=True, kw_only=True)
class Move:
    """What is to change; what is not given stays."""

    cursor: Any = ...
    """JSON; None is the start of the source."""
    skip: int | None = None
    mark: Any = ...
    from_stream: str | None = None
    """Take over where this stream stands, which starts over then."""

    def moved(self, before: Checkpoint) -> Checkpoint:
        """The position that comes of it; records behind another cursor are others, so none of them is known."""
        if self.cursor is not ...:
            before = replace(before, cursor=self.cursor, skip=0, last=())
        if self.skip is not None:
            before = replace(before, skip=self.skip, last=())
        return before if self.mark is ... else replace(before, mark=self.mark)


@dataclass(frozen=True)
class Standing:
    """Where a pipeline stands."""

    pipeline: Pipeline
    actor: str
    """Who moves it, for the audit."""
    store: Store
    kept: Checkpoints
    partition: str | None = None
    """Key of the one that is moved, of a source in parts."""

    @property
    def stream(self) -> Stream:
        """What is moved."""
        if plan(self.pipeline).whole is None:
            return Stream(self.pipeline.id, self.pipeline.extract.key)
        return stream_of(self.pipeline, None if self.partition is None else Partition(self.partition))

    def each(self) -> list[Standing]:
        """One a partition with a checkpoint, by its key; without partitions this one."""
        if self.pipeline.extract.partition is None or self.partition is not None:
            return [self]
        begins, ends = f"{self.pipeline.extract.key}[", f"]>{self.pipeline.load.key}"
        streams = [kept.stream.stream for kept in self.all() if not kept.stream.scope]
        own = [stream for stream in streams if stream.startswith(begins) and stream.endswith(ends)]
        return [replace(self, partition=stream[len(begins) : -len(ends)]) for stream in own]

    def all(self) -> list[Kept]:
        """The checkpoints of all streams of the pipeline, those of steps that are gone included."""
        with naming(self.pipeline.id, self.pipeline.load.key):
            return self.kept.of(self.pipeline.id)

    def changed(self, kept: Kept) -> bool:
        """Whether the source asks for something else than the checkpoint was made with."""
        return bool(kept.checkpoint) and kept.checkpoint.fingerprint != self._fingerprint  # type: ignore[union-attr]

    def start_over(self) -> Checkpoint:
        """Forget the position: the next run begins at the start of the source. ConfigurationError without one."""
        return self._write("checkpoint reset", lambda: {self.stream: self._start(self._one(self.stream))})

    def go_on(self, move: Move) -> Checkpoint:
        """Move the position, and accept source and table as the spec has them now.

        ConfigurationError where nothing stands that could be moved."""
        return self._write("checkpoint set", lambda: self._moves(move))

    def _moves(self, move: Move) -> dict[Stream, Checkpoint]:
        if move.from_stream in (None, self.stream.stream):
            return {self.stream: self._next(self._one(self.stream), move)}
        before = self._one(Stream(self.pipeline.id, move.from_stream or ""))
        here = next((kept for kept in self.all() if kept.stream == self.stream), None)
        to = replace(self._next(before, move), version=here.version + 1 if here else 1)
        return {self.stream: to, before.stream: self._start(before)}

    def _one(self, stream: Stream) -> Kept:
        found = self.all()
        for kept in found:
            if kept.stream == stream:
                return kept
        others = ", ".join(repr(kept.stream.stream) for kept in found if not kept.stream.scope) or "none"
        raise ConfigurationError(
            f"pipeline {self.pipeline.id!r} has no checkpoint of the stream {stream.stream!r}: its next run begins at "
            f"the start of the source. Streams with a checkpoint: {others} (--from-stream takes one over)"
        )

    def _next(self, kept: Kept, move: Move) -> Checkpoint:
        before = kept.checkpoint
        if before is None and move.cursor is ...:
            raise ConfigurationError(
                f"the checkpoint cannot be gone on from: {kept.damage}; give --cursor, or reset it"
            )
        return move.moved(replace(before or self._start(kept), **self._new(kept), counters={}, target=None))

    def _start(self, kept: Kept) -> Checkpoint:
        return Checkpoint(cursor=None, skip=0, counters={}, **self._new(kept))

    def _new(self, kept: Kept) -> dict[str, Any]:
        of_now = {"fingerprint": self._fingerprint, "format": CHECKPOINT_FORMAT}
        return {"version": kept.version + 1, "owner": f"{self.actor} by hand", **of_now}

    @property
    def _fingerprint(self) -> str:
        return self.pipeline.extract.source.fingerprint()

    def _write(self, act: str, moves: Any) -> Checkpoint:
        if sum(isinstance(step, ExtractStep) for step in self.pipeline.steps) > 1:
            raise ConfigurationError(f"pipeline {self.pipeline.id!r} has several sources, which nobody can move alone")
        for tries_left in range(TRIES - 1, -1, -1):
            to: dict[Stream, Checkpoint] = moves()
            before = {kept.stream: kept for kept in self.all() if kept.stream in to}
            self._settle(before)
            try:
                self.kept.move(to)
            except StopRun:
                if not tries_left:
                    raise
            else:
                break
        detail = {"before": [_told(kept) for kept in before.values()], "now": asdict(to[self.stream])}
        self.store.audit(self.actor, act, self.pipeline.id, json.dumps(detail, default=str))
        return to[self.stream]

    def _settle(self, before: dict[Stream, Kept]) -> None:
        """Decide about rejects in doubt while the checkpoint still shows whose they are (R11)."""
        for stream, kept in before.items():
            if kept.checkpoint:
                self.store.settle(stream, kept.version, kept.checkpoint.owner)


def _told(kept: Kept) -> dict[str, Any]:
    return {"stream": kept.stream.stream, "version": kept.version, "damage": kept.damage} | (
        {"cursor": kept.checkpoint.cursor, "skip": kept.checkpoint.skip} if kept.checkpoint else {}
    )


@contextmanager
def standing(pipeline: Pipeline, run: Run, store: Store, actor: str) -> Iterator[Standing]:
    """Connect to where the pipeline's checkpoints are kept: by its sink, or, of one with several stages, in the store.
    Raises ConfigurationError, RunFailed."""
    if plan(pipeline).whole is None:
        yield Standing(pipeline, actor, store, store.positions)
        return
    defaults = {name: schema["default"] for name, schema in pipeline.params.items() if "default" in schema}
    values = {"params": defaults | dict(run.params), "run_id": run.run_id}  # of others only runs know
    values |= {"partition": Partition("").values}
    with naming(pipeline.id, pipeline.load.key):
        kept = rendered(pipeline.load.sink, values).checkpoints(run)
    try:
        yield Standing(pipeline, actor, store, kept)
    finally:
        kept.close()
