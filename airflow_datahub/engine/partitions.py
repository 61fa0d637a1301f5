"""The partitions of a source in one run: which there are, and which a task is to read.

A task is told the first and the last of its partitions by their places in the cut, which is the same in every process
of a run; only those that a source names by itself are handed over, because it may name others a moment later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_datahub.contract import Partition, Run, Stream
from airflow_datahub.engine.rendering import rendered
from airflow_datahub.errors import ConfigurationError
from airflow_datahub.spec import Pipeline, resolve_params
from airflow_datahub.spec.cutting import MOST
from airflow_datahub.spec.words import near

MOST_TASKS = 1_000
"""Mapped tasks of a run; Airflow's own limit is 1,024 unless `max_map_length` says another."""


@dataclass(frozen=True, slots=True)
class Pack:
    """Neighbouring partitions that one task reads, one after the other."""

    places: tuple[int, int] = (0, 0)
    """In the cut: that of the first, and the one behind the last."""

    label: str = "none"
    """What a person calls it: `2024-01-15`, `1-100 … 901-1000`."""

    given: tuple[Partition, ...] | None = None
    """The partitions themselves, where the source has named them."""

    def as_json(self) -> dict[str, Any]:
        """Small enough to be one of a thousand in an XCom."""
        given = None if self.given is None else [_as_json(each) for each in self.given]
        return {"places": list(self.places), "label": self.label, "given": given}

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Pack:
        """What `as_json` gave."""
        given = value["given"]
        first, behind = value["places"]
        return cls((first, behind), value["label"], None if given is None else tuple(map(_partition, given)))

    def partitions(self, pipeline: Pipeline, run: Run) -> Sequence[Partition]:
        """What is in it; `run` is the one that it was made for."""
        return cut(pipeline, run)[slice(*self.places)] if self.given is None else self.given


NOTHING = Pack()


def cut(pipeline: Pipeline, run: Run) -> Sequence[Partition]:
    """All partitions of the pipeline's source, in order; may ask the source. ConfigurationError for too many."""
    step = pipeline.extract
    assert step.partition
    if step.partition.by != "source":
        return step.partition.cut(run.started, pipeline.timezone)
    values = {"params": resolve_params(pipeline, run.params), "run_id": run.run_id, "partition": Partition("").values}
    named = list(rendered(step.source, values).partitions(run))
    if len(named) > MOST or len({each.key for each in named}) < len(named):
        raise ConfigurationError(f"{step.adapter!r} names one partition twice, or more than {MOST:,}")
    return named


def first_of(pipeline: Pipeline, run: Run) -> Partition | None:
    """The one that is looked at where one stands for all; None where the source is not read in parts."""
    if pipeline.extract.partition is None:
        return None
    return next(iter(cut(pipeline, run)), Partition(""))


def stream_of(pipeline: Pipeline, partition: Partition | None = None) -> Stream:
    """The stream from the pipeline's source, or a part of it, into its sink."""
    part = f"[{partition.key}]" if partition else ""
    return Stream(pipeline.id, f"{pipeline.extract.key}{part}>{pipeline.load.key}")


def packs(pipeline: Pipeline, run: Run, *, full: bool = False, most: int = MOST_TASKS) -> list[Pack]:
    """What the tasks of this run are to read, at most so many; without `full` nothing that is finished.

    Where there is nothing to read, there is one pack of nothing."""
    parts = cut(pipeline, run)
    done = frozenset() if full else _finished(pipeline, run, parts)
    left = [place for place, each in enumerate(parts) if stream_of(pipeline, each).stream not in done]
    run.log.info("partitions", all=len(parts), finished=len(parts) - len(left))
    given = pipeline.extract.partition is not None and pipeline.extract.partition.by == "source"
    return [_pack(parts, places, given) for places in evenly(left, most)] or [NOTHING]


def evenly(places: Sequence[int], most: int) -> list[Sequence[int]]:
    """Neighbours in groups, at most so many of them, whose sizes differ by one at the most."""
    all_, count = len(places), min(most, len(places))
    return [places[all_ * group // count : all_ * (group + 1) // count] for group in range(count)]


def only(pipeline: Pipeline, run: Run, key: str) -> Pack:
    """The partition of that key alone, finished or not. ConfigurationError where there is none."""
    parts = cut(pipeline, run)
    for place, each in enumerate(parts):
        if each.key == key:
            return Pack((place, place + 1), key, (each,))
    some = f"there are {len(parts):,}" + (f", from {parts[0].key!r} to {parts[-1].key!r}" if parts else "")
    meant = near(key, (each.key for each in parts[:10_000]))
    raise ConfigurationError(f"pipeline {pipeline.id!r} has no partition {key!r}{meant}; {some}")


def _pack(parts: Sequence[Partition], places: Sequence[int], given: bool) -> Pack:
    first, last = parts[places[0]], parts[places[-1]]
    label = first.key if len(places) == 1 else f"{first.key} … {last.key}"
    return Pack((places[0], places[-1] + 1), label, tuple(parts[each] for each in places) if given else None)


def _finished(pipeline: Pipeline, run: Run, parts: Sequence[Partition]) -> frozenset[str]:
    """The streams behind which nothing will come, as the sink's checkpoints show."""
    sink = pipeline.load.sink
    closed = any(closes(each, run.started) for each in parts)
    if not closed or not sink.keeps_checkpoint:
        return frozenset()
    values = {"params": resolve_params(pipeline, run.params), "run_id": run.run_id, "partition": Partition("").values}
    kept = rendered(sink, values).checkpoints(run)
    fingerprint = pipeline.extract.source.fingerprint()
    try:
        found = [(each.stream, each.checkpoint) for each in kept.of(pipeline.id) if not each.stream.scope]
    finally:
        kept.close()
    return frozenset(
        stream.stream
        for stream, checkpoint in found
        if checkpoint and checkpoint.finished and checkpoint.fingerprint == fingerprint
    )


def closes(partition: Partition, now: datetime) -> bool:
    """Whether nothing can come into it from now on."""
    return partition.closes is not None and partition.closes <= now


def _as_json(partition: Partition) -> list[Any]:
    closes = partition.closes.isoformat() if partition.closes else None
    return [partition.key, partition.start, partition.end, closes]


def _partition(value: Sequence[Any]) -> Partition:
    key, start, end, closes = value
    return Partition(key, start, end, datetime.fromisoformat(closes) if closes else None)
