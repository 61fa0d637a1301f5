"""Records on their way from a source to a sink, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Record = dict[str, Any]
"""A JSON object."""

Cursor = Any
"""Where a source can go on reading; any JSON value but null."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands in a batch where a record should be that the source could not read; it becomes a reject."""

    reason: str
    payload: str


@dataclass(slots=True)
class Batch:
    """Records that travel together, and the position in the source behind them."""

    records: Sequence[Any]
    """The records, in the source's order: objects, or JSON that nobody has decoded yet (msgspec.Raw), of which the
    engine decodes what is looked into. What is not an object, or Unreadable, becomes a reject."""

    cursor: Cursor | None = None
    """Where to go on after the last record; None where the source has no position behind it (its last page): the next
    run then reads this batch again and passes over the records that it had."""

    origins: Sequence[Any] | None = None
    """Each record as the source gave it: JSON bytes (bytes, memoryview or msgspec.Raw) or the object itself, aligned
    with `records`; None means the records themselves. It is what `$` and rejects refer to; nobody changes it."""

    size: int = 0
    """Bytes the batch occupies, roughly: what the limits on memory and on a commit count."""

    pages: int = 1
    retries: int = 0
    total: int | None = None
    """Records in the whole source, where it says."""

    ids: Sequence[str] | None = None
    """Names under which records are applied once, whatever repeats them: of rejects that are replayed."""

    mark: Any = None
    """What the source keeps beside its cursor once these records are dealt with, JSON; it finds it again in
    `Run.checkpoint`."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One record that a sink refused; `index` counts in `Batch.records` from 0."""

    index: int
    reason: str
    field: str | None = None


@dataclass(slots=True)
class Written:
    """What became of a batch: inserted + updated + unchanged + deleted + merged + filtered + refused = records of the
    batch + made."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    merged: int = 0
    """Records folded into another of the same key in this batch."""
    filtered: int = 0
    """Records that end here, as wanted."""
    made: int = 0
    """Copies, of records that are written more than once."""
    refused: list[Refusal] = field(default_factory=list)

    @property
    def total(self) -> int:
        """How many records these counts account for."""
        written = self.inserted + self.updated + self.unchanged + self.deleted - self.made
        return written + self.merged + self.filtered + len(self.refused)


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a sink would do with records."""

    written: Written | None
    """What would become of them; None where only doing it would tell."""
    notes: Sequence[str] = ()
    """What would happen besides, for a person: `table public.events would be created: …`."""
