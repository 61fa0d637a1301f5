"""The words that adapters and engine share: Record, Batch, Checkpoint, Run, and the bases Source, Transform, Sink.

An adapter is one file with one frozen pydantic model: its fields are the YAML, its docstrings the reference.
"""

from __future__ import annotations

import hashlib
import json
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from airflow_datahub.batches import Batch as Batch
from airflow_datahub.batches import Cursor as Cursor
from airflow_datahub.batches import Record as Record
from airflow_datahub.batches import Refusal as Refusal
from airflow_datahub.batches import Simulated as Simulated
from airflow_datahub.batches import Unreadable as Unreadable
from airflow_datahub.batches import Written as Written
from airflow_datahub.connections import Connection as Connection
from airflow_datahub.connections import Place as Place
from airflow_datahub.connections import UndefinedConnection as UndefinedConnection
from airflow_datahub.connections import no_connections
from airflow_datahub.errors import ConfigurationError, RejectRecord
from airflow_datahub.inlining import Code as Code
from airflow_datahub.logs import Log as Log
from airflow_datahub.logs import Silence as Silence
from airflow_datahub.masking import Mask

Trigger = Literal["manual", "cli", "rest", "schedule", "webhook", "event", "queue", "file", "replay"]

T = TypeVar("T")


@dataclass(frozen=True)
class TemplateMark:
    """Marks a field whose `{{ … }}` are rendered when a run starts."""


Templated = Annotated[T, TemplateMark()]
"""`Templated[str]`: the only fields in which Jinja acts; in containers the values are rendered, never the keys."""


CHECKPOINT_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a stream stands. It moves only with the rows, and only from `version - 1`, so that one writer wins."""

    version: int
    """Counts the commits of this stream; a commit of `version` finds `version - 1` or fails."""

    owner: str
    """Who wrote it: one value a try of a run."""

    cursor: Cursor | None
    """The source's position at the start of what is not wholly read; None is the start of the source."""

    skip: int
    """Source records behind `cursor` that are already dealt with."""

    fingerprint: str
    """Hash of the fields that give the cursor its meaning."""

    counters: Mapping[str, Any]
    """What the run has counted so far, over all its tries; JSON."""

    mark: Any = None
    """What the source keeps beside its cursor."""
    format: int = CHECKPOINT_FORMAT

    last: Sequence[str] = ()
    """Hashes of the last of those records, the newest first, by which they are found again."""

    target: str | None = None
    """What the rows went into; None where that is not known."""

    age: float | None = field(default=None, compare=False)
    """Seconds since it was written, by the clock of what keeps it; None where that is not known."""

    @property
    def finished(self) -> bool:
        """Whether all of a partition is behind it that will ever come."""
        return self.counters.get("finished") is True


@dataclass(frozen=True, slots=True)
class Partition:
    """A part of a source that is read by itself, from a checkpoint of its own."""

    key: str
    """What it holds, in words that stay: `2024-01-15`, `1-100000`, `de`. It names the checkpoint, so another content
    must have another key."""

    start: Any = None
    """Where it begins; `partition.from` in templates. JSON."""

    end: Any = None
    """Where it ends; `partition.to` in templates. JSON."""

    closes: datetime | None = None
    """When nothing new can come into it any more: what is read to its end from then on is not asked for again. None:
    never."""

    @property
    def values(self) -> dict[str, Any]:
        """What templates name."""
        return {"key": self.key, "from": self.start, "to": self.end}


@dataclass(frozen=True, slots=True)
class Stream:
    """What a checkpoint belongs to."""

    pipeline: str
    stream: str
    """`<extract key>><load key>`, of a partition `<extract key>[<its key>]><load key>`."""

    scope: str = ""
    """Empty for the live cursor."""


Counted = Mapping[str, Mapping[str, float]]
"""What the steps of a run have counted: by step, by the name of the counter."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What an adapter may know of the run it serves; all that comes from Airflow comes through here."""

    pipeline: str
    run_id: str
    dag: str | None = None
    """What Airflow knows it as a run of; None outside Airflow."""
    task: str | None = None
    """The task, of a mapped one with its index: `load[3]`; None outside Airflow."""
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    """The run's `run_after`, the same in every try: what `now` means in a transform."""
    revision: str = ""
    trigger: Trigger = "cli"
    params: Mapping[str, Any] = field(default_factory=dict)
    connections: Callable[[str], Connection] = no_connections
    """By id. Raises UndefinedConnection, a ConfigurationError, when there is none."""
    redis: str | None = None
    """Id of the connection to the Redis in which processes share what they learn of an API; None: they do not."""
    log: Log = field(default_factory=Silence)
    mask: Mask = field(default_factory=Mask, repr=False, compare=False)
    """Takes the secrets of the connections that the run has read out of a text."""
    stopping: threading.Event = field(default_factory=threading.Event)
    """Set once a stop is asked for. Waits of adapters end with it."""
    checkpoint: Checkpoint | None = None
    """Where the stream stands that is read; None where there is nothing to go on from."""
    partition: Partition | None = None
    """The part of the source that is read; None: all of it."""
    map_index: int = -1
    """Of a mapped task; -1 otherwise."""
    concurrency: int = 10
    """Requests that a source may have under way at once."""
    spool: Path | None = None
    """Folder for the files that one task of a run hands to another, or what has pathlib's interface; None: there is
    none."""
    on_count: Callable[[Counted], None] = lambda counted: None
    """Told every few seconds, and once more at the end, what has been counted since it was told last."""
    folder: Path = Path()
    """Where the paths of files that a spec names begin: the folder it stands in."""
    answers: Callable[..., Any] | None = None
    """In a test of a spec: what another system answers to a request, both as JSON; ConfigurationError where the test
    does not say. None: the system is asked."""
    closing: ExitStack = field(default_factory=ExitStack, repr=False, compare=False)
    """Closed once the stage has ended: what an adapter has opened that has no end of its own."""
    kept: MutableMapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """What the run's adapters share while it lasts, each under a name that begins with its own: the rate that an API
    allows, a token."""


class Adapter(BaseModel):
    """The fields are the YAML, their docstrings the documentation, the module's docstring holds the example."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, populate_by_name=True, defer_build=True
    )


class Source(Adapter):
    """Brings records in."""

    identity: ClassVar[tuple[str, ...]] = ()
    """Fields that give the cursor its meaning: another value makes a stored cursor worthless. A dotted name is a field
    of a field."""

    def fingerprint(self) -> str:
        """Hash of the identity fields, defaults included; kept with the cursor and compared before it is used."""
        wanted: dict[str, Any] = {}
        for name in self.identity:
            *parents, last = name.split(".")
            reduce(lambda level, parent: level.setdefault(parent, {}), parents, wanted)[last] = True
        values = self.model_dump(mode="json", include=wanted)
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    def open(self, run: Run) -> None:
        """Get ready, once a try and before anything is read or timed: load libraries, open what takes long."""

    def read(self, run: Run, cursor: Cursor | None) -> AsyncIterator[Batch] | Iterator[Batch]:
        """Yield batches in order from the cursor (None: from the start); a plain generator runs in a thread."""
        raise NotImplementedError

    def partitions(self, run: Run) -> Iterable[Partition]:
        """The parts that it consists of now, each with a key of its own, for `partition: {by: source}`; `read` then
        finds in `run.partition` which one it is to read. May ask the source."""
        raise NotImplementedError

    def begins_again(self) -> bool:
        """Whether a run that has read everything is followed by one that reads everything again: a snapshot."""
        return False

    def renewed(self, run: Run, cursor: Cursor | None) -> bool:
        """Whether that of which a stored cursor speaks is gone for good, and something new there to be read from its
        start."""
        return False

    def place(self, connections: Callable[[str], Connection]) -> Place | None:
        """Where it reads, for lineage; None where that has no address."""
        return None

    def notes(self) -> list[str]:
        """What a person should know of these settings before they run; `plan` shows it."""
        return []

    def notes_on(self, connections: Callable[[str], Connection]) -> list[str]:
        """The same of the connections, where they can be read: only the command line's `plan` does so."""
        return []


Applied = Record | list[Record] | None
"""A record, several (fans out), or None (filtered)."""

Function = Callable[[Record], Applied]
"""A compiled operator. It may change the top level of the record that it is given, never what is nested in it (copy the
path that changes), and raises RejectRecord for a record that it cannot serve. It keeps nothing of what it gives, which
others change."""


BatchFunction = Callable[[Sequence[Record]], Sequence[Record | RejectRecord | None]]
"""A compiled operator of many records: one result a record, which may be the error that rejects it. The rules are those
of a Function."""


def alone(batch: BatchFunction) -> Function:
    """The function of one record that a function of a batch is, too."""

    def apply(record: Record) -> Applied:
        (result,) = batch([record])
        if isinstance(result, RejectRecord):
            raise result
        return result

    return apply


class Transform(Adapter):
    """Turns one record into a record, none or several."""

    def compile(self, run: Run) -> Function:
        """The function of one record, pure over the record and the run's constants."""
        batch = self.compile_batch(run)
        if batch is None:
            raise NotImplementedError
        return alone(batch)

    def compile_batch(self, run: Run) -> BatchFunction | None:
        """For an operator that works on many records at once, such as one that asks another system: the function of a
        batch. None: it works on one."""
        return None

    def asks(self) -> bool:
        """Whether another system is asked, which may answer otherwise the next time."""
        return type(self).compile_batch is not Transform.compile_batch

    def inline(self, code: Code) -> bool:
        """Write what the compiled function does into `code`; False, and nothing written, where it is called instead.
        A record that is not usual is handed over."""
        return False

    def carries(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        """The path behind this operator of what is at the path `names`, a field or a field of one, where the operator
        passes it on, replaces it or drops it without looking into it; None where it may look. What nobody looks into is
        never decoded."""
        return None


Settle = Callable[[Written], Mapping[str, Any]]
"""Called by a sink once a batch is written and before it is made durable; stores the rejects and gives the counters
for the checkpoint. What it raises undoes the batch."""


Opaque = Callable[[str], bool]


def nothing_opaque(name: str) -> bool:
    """Every field must come decoded."""
    return False


class Writer(ABC):
    """An open sink. `prepare` runs beside the `commit` of the batch before it, on another thread."""

    def resume(self) -> Checkpoint | None:
        """The stream's checkpoint; None where there is none yet, or where the sink keeps none."""
        return None

    def prepare(self, batch: Batch) -> Any:
        """The work on a batch that needs no order: encoding, copying ahead."""
        return batch

    def settled(self, records: Sequence[Record]) -> bool:
        """Whether nothing about the target is decided by what the first records are, of which these are some: then the
        first commits may be small, so that the sink starts early."""
        return False

    def opaque(self) -> Opaque:
        """Tells of a top-level field whether it may come as undecoded JSON (msgspec.Raw). Another function once
        preparing a batch has changed what it tells; the same one otherwise."""
        return nothing_opaque

    def target(self) -> str | None:
        """What rows go into, if it is there; with a checkpoint of another one, records would be missing in it."""
        return None

    @abstractmethod
    def commit(self, prepared: Any, checkpoint: Checkpoint, settle: Settle) -> Written:
        """Write what was prepared; rows and checkpoint are durable, together, once it returns."""

    def start_over(self) -> None:  # noqa: B027
        """Called before the first batch where the source is read from its start, whatever was written before: what a
        run has written and not yet shown is given up."""

    def finish(self, checkpoint: Checkpoint) -> None:  # noqa: B027
        """Called once, after the last commit, when the source was read to its end; never after a stop, an error or a
        limit. What a run shows as a whole is shown now, in one transaction with this checkpoint and its counters."""

    def cancel(self) -> None:  # noqa: B027
        """End what runs now, from any thread; the commit under way then raises Interrupted or RunFailed."""

    def close(self) -> None:  # noqa: B027
        """Give everything back; called once, also after an error."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A checkpoint as a sink keeps it, also one that nothing can go on from."""

    stream: Stream
    version: int
    updated_at: datetime
    checkpoint: Checkpoint | None
    damage: str = ""
    """Why there is no checkpoint to go on from, for a person."""


class Checkpoints(ABC):
    """What a sink remembers, for a person who looks at it or moves it by hand."""

    @abstractmethod
    def of(self, pipeline: str) -> list[Kept]:
        """The checkpoints of a pipeline, by stream and scope."""

    @abstractmethod
    def move(self, moves: Mapping[Stream, Checkpoint]) -> None:
        """Write them all or none, each where its `version - 1` stands (nothing, for version 1); StopRun otherwise."""

    def close(self) -> None:  # noqa: B027
        """Give everything back; called once, also after an error."""


class Sink(Adapter):
    """Takes records out."""

    keeps_checkpoint: ClassVar[bool] = True
    """False: nothing is remembered, every run begins at the start."""

    def replaces(self) -> bool:
        """Whether what a run brings takes the place of everything before, at its end: then every run reads the source
        from its start, and only a later try of the same run goes on from the checkpoint."""
        return False

    def not_replayed(self) -> str | None:
        """Why rejects of a run cannot be replayed into it; None: they can."""
        return None

    def asset(self) -> tuple[str, str] | None:
        """Name and URI of what is written to, as the spec alone tells them; None where there is nothing to name."""
        return None

    def place(self, connections: Callable[[str], Connection]) -> Place | None:
        """Where it writes, for lineage; None where that has no address."""
        return None

    def fields(self, connections: Callable[[str], Connection]) -> list[tuple[str, str]]:
        """Names and types of what is there to be written to, for lineage; empty where that is not known."""
        return []

    def open(self, run: Run, stream: Stream) -> Writer:
        """Connect, and make sure that what is to be written to is there and fits."""
        raise NotImplementedError

    def simulate(self, run: Run, stream: Stream, batch: Batch) -> Simulated | None:
        """What writing these records would do, without doing it; None where this sink cannot tell."""
        return None

    def checkpoints(self, run: Run) -> Checkpoints:
        """Connect to what is remembered. ConfigurationError where nothing is."""
        raise ConfigurationError("this sink keeps no checkpoint: every run begins at the start of the source")
