"""Where a stream stands, and how its batches are cut into pieces that a commit can carry.

A position is the cursor at the start of what is not wholly read, how many records behind it are dealt with, and hashes
of the last of them. That needs nothing of a source but the same order again, it lets a commit end in the middle of a
page, and it holds when records in front have gone or one of the last has changed: the last known record is looked for,
not counted to.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from airflow_datahub.contract import Batch, Checkpoint, Cursor
from airflow_datahub.engine.projection import decoded


def told(cursor: Cursor | None) -> str:
    """A cursor for the log, where a number would be written like a quantity, with commas."""
    if cursor is None or isinstance(cursor, str):
        return "start" if cursor is None else cursor
    return json.dumps(cursor, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Place:
    """What a checkpoint keeps of a position."""

    cursor: Cursor | None = None
    skip: int = 0
    last: tuple[str, ...] = ()
    """Of the last records that are dealt with, the newest first."""
    mark: Any = None
    """What the source keeps beside the cursor; it moves with whole batches."""


START = Place()
REMEMBERED = 5
"""Records that are remembered by their hashes."""


class Position:
    """Moves over the batches of a source."""

    def __init__(self, place: Place = START):
        self._place = place
        self._records: list[Any] = []
        self._resumes = place.skip > 0
        self.lost = False
        """None of the last records is where it was: the page is read from its start again."""

    @classmethod
    def of(cls, checkpoint: Checkpoint | None) -> Position:
        """The position that a checkpoint keeps; without one, the start of the source."""
        return cls(_place(checkpoint)) if checkpoint else cls()

    @property
    def place(self) -> Place:
        """Where it stands now."""
        if self._records:
            last = tuple(map(identity, reversed(self._records)))
            self._place = replace(self._place, last=(last + self._place.last)[:REMEMBERED])
            self._records = []
        return self._place

    def pieces(self, batch: Batch, most: Callable[[], int]) -> Iterator[Batch]:
        """The batch's new records in pieces of at most `most()`; the position stands behind each piece as it comes."""
        count = len(batch.records)
        start = self._known(batch)
        while start < count:
            end = min(start + most(), count)
            self._move(batch, start, end)
            yield _piece(batch, start, end)
            start = end
        if batch.cursor is not None:
            self._go_behind(batch)

    def _known(self, batch: Batch) -> int:
        """How many records of the first batch an earlier run dealt with."""
        if not self._resumes or not batch.records:
            return 0
        self._resumes = False
        count = min(self._place.skip, len(batch.records))
        if not self._place.last:  # a person set it, who says how many
            self._place = replace(self._place, skip=count)
            return count
        hashes = [identity(record) for record in batch.records[:count]]
        for known in self._place.last:
            if known in hashes:
                index = count - 1 - hashes[::-1].index(known)
                self._place = replace(self._place, skip=index + 1)
                return index + 1
        self._place = Place(self._place.cursor, mark=self._place.mark)
        self.lost = True
        return 0

    def _go_behind(self, batch: Batch) -> None:
        self._place, self._records = Place(batch.cursor, mark=batch.mark), []
        self._resumes = False

    def _move(self, batch: Batch, start: int, end: int) -> None:
        whole = end == len(batch.records)
        if whole and batch.cursor is not None:
            self._go_behind(batch)
        else:
            mark = batch.mark if whole else self._place.mark
            self._place = replace(self._place, skip=self._place.skip + end - start, mark=mark)
            self._records = [*self._records, *batch.records[max(start, end - REMEMBERED) : end]][-REMEMBERED:]


def _place(checkpoint: Checkpoint) -> Place:
    return Place(checkpoint.cursor, checkpoint.skip, tuple(checkpoint.last), checkpoint.mark)


def identity(record: Any) -> str:
    """A hash of a record's content, whatever the order of its keys, decoded or not."""
    record = decoded(record)
    try:
        text = msgspec.json.encode(record, order="deterministic")
    except (TypeError, ValueError, RecursionError):  # what JSON cannot say is for the sink to refuse
        text = repr(record).encode("utf-8", "backslashreplace")
    return hashlib.sha256(text).hexdigest()[:16]


def _piece(batch: Batch, start: int, end: int) -> Batch:
    count = len(batch.records)
    if end - start == count:
        return batch
    origins = None if batch.origins is None else batch.origins[start:end]
    ids = None if batch.ids is None else batch.ids[start:end]
    size = batch.size * (end - start) // count
    return Batch(batch.records[start:end], batch.cursor, origins, size, 0, ids=ids)
