"""What the store takes and gives, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime
from operator import add, attrgetter
from typing import Any, Literal

RunState = Literal["running", "success", "failed", "interrupted", "skipped"]

RejectState = Literal["provisional", "open", "replaying", "replayed", "discarded"]
"""Provisional until the checkpoint shows the commit that set the record aside; replaying once a replay has taken it."""


@dataclass(slots=True)
class Counters:
    """What became of records in one step; of a batch, a try or a run. They add up."""

    records_in: int = 0
    records_out: int = 0
    made: int = 0
    """Records that an operator added."""
    merged: int = 0
    """Records folded into others."""
    rejected: int = 0
    filtered: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    pages: int = 0
    commits: int = 0
    retries: int = 0
    bytes: int = 0
    seconds: float = 0.0

    def __add__(self, other: Counters) -> Counters:
        return Counters(*map(add, _counts(self), _counts(other)))

    def behind(self, later: Counters) -> Counters:
        """The counts of two parts of one step, of which the later took what the first gave."""
        both = self + later
        both.records_in, both.records_out = self.records_in, later.records_out
        return both

    def balances(self, *, sink: bool = False) -> bool:
        """Whether every record is accounted for (R10): in + made = out + rejected + filtered + merged.

        Where records were written, they must be those that went out; `sink` demands it even if none was written.
        """
        written = self.inserted + self.updated + self.unchanged + self.deleted
        left = self.records_out + self.rejected + self.filtered + self.merged
        return self.records_in + self.made == left and (written == self.records_out or not (sink or written))


_counts = attrgetter(*(each.name for each in fields(Counters)))


@dataclass(frozen=True, slots=True)
class Reject:
    """One record that a step set aside."""

    position: int
    """Where the record stands among those that its commit carries, from 0."""
    step: str
    operator: str | None
    field: str | None
    reason: str
    record: Any
    """The record as it entered the step; a text where the source could not read it."""
    earlier: int | None = None
    """Id of the reject that was replayed, of one that was refused again."""


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run in the ledger."""

    pipeline: str
    run_id: str
    state: RunState
    started_at: datetime
    """Of its first try."""
    ended_at: datetime | None
    """None while it runs."""
    revision: str
    trigger: str
    tries: int
    error: str | None


@dataclass(frozen=True, slots=True)
class RejectRow:
    """A reject in the store, its record decrypted."""

    id: int
    pipeline: str
    stream: str
    scope: str
    version: int
    owner: str
    position: int
    state: RejectState
    run_id: str
    step: str
    operator: str | None
    field: str | None
    reason: str
    revision: str
    truncated: bool
    """The record was above the limit and is not kept."""
    created_at: datetime
    record: Any
    """None where it is not kept or cannot be decrypted; `unreadable` says which."""
    replay: str | None = None
    """The run that has replayed it, or does."""
    earlier: int | None = None
    """The reject that it was before a replay; it was refused again."""
    edited: bool = False
    """Whether a person has changed the record."""
    unreadable: str | None = None
    """Why there is no record, for a person."""
    mask: tuple[str, ...] = ()
    """Paths whose values nobody is shown, as the spec of the run that rejected it has them."""


@dataclass(frozen=True, kw_only=True)
class Which:
    """Rejects that are wanted: those for which all that is given holds."""

    ids: frozenset[int] | None = None
    run_id: str | None = None
    step: str | None = None
    operator: str | None = None
    reason: str | None = None
    """A part of it."""
    since: datetime | None = None
    """Set aside then or later."""


@dataclass(frozen=True)
class Replay:
    """What somebody wants to be replayed."""

    which: Which
    actor: str
    """Who wants it, for the audit."""


@dataclass(frozen=True, slots=True)
class RejectGroup:
    """Rejects of a run that are alike."""

    step: str
    operator: str | None
    field: str | None
    reason: str
    count: int
    example: int
    """Id of the first of them."""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """What somebody did by hand."""

    at: datetime
    actor: str
    act: str
    """`checkpoint set`, as a command would say it."""
    pipeline: str
    detail: str
    """What was before and what is now, for a person."""


RevisionState = Literal["deployed", "draft"]
"""A deployed revision has run or was published; a draft is kept in the store alone."""


@dataclass(frozen=True, slots=True)
class RevisionRow:
    """One definition of a pipeline."""

    pipeline: str
    revision: str
    """The hash of the definition, `${ENV}` unreplaced."""
    state: RevisionState
    text: str
    """The spec as its file had it when it was first seen."""
    author: str = ""
    """Who published or drafted it; empty where a run found it in the file."""
    note: str = ""
    made_from: str | None = None
    """SHA-256 of the file that a draft is to replace; None where there was no file."""
    created_at: datetime = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class Use:
    """The runs of one revision."""

    first_run: str
    """The id of the first of them."""
    first: datetime
    last: datetime
    runs: int
