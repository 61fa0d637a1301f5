"""Write records into files for the tasks behind this one; the sink of every stage that does not end with one.

Example:
    adapter: airflow_datahub.spool.spool:Spool
    config: {start: "{{ params.start }}"}
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from airflow_datahub.contract import (
    Batch,
    Checkpoint,
    Opaque,
    Record,
    Refusal,
    Run,
    Settle,
    Sink,
    Stream,
    Templated,
    Writer,
    Written,
)
from airflow_datahub.errors import ConfigurationError, RejectRecord
from airflow_datahub.replayed import apart
from airflow_datahub.spool.folder import MISSING, File, Folder, checkpoint_of

_encode = msgspec.json.Encoder(decimal_format="number").encode


class Spool(Sink):
    """A record goes through as it came where nobody has changed it."""

    start: Templated[Any]
    """`folder`, below the root of all spools, and `checkpoint`, the position that the first try begins at."""

    split: Any = None
    """A Split where records take different ways from here; None: all take one."""

    def not_replayed(self) -> str | None:
        return "its records are for the tasks behind it, which know nothing of a replay"

    def open(self, run: Run, stream: Stream) -> Writer:
        if run.spool is None:
            raise ConfigurationError(MISSING)
        folder = Folder(run.spool / self.start["folder"])
        return _Spooling(folder, checkpoint_of(self.start["checkpoint"]), self.split or ONE_WAY)


class Split(ABC):
    """Decides which ways a record takes."""

    @abstractmethod
    def ways(self, record: Record) -> Sequence[str]:
        """The names of its branches; none: it ends here. RejectRecord where it can take none."""

    @abstractmethod
    def opaque(self, name: str) -> bool:
        """Whether nobody looks into this field to decide it."""


class OneWay(Split):
    """Every record goes on."""

    def ways(self, record: Record) -> Sequence[str]:
        return ("",)

    def opaque(self, name: str) -> bool:
        return True


ONE_WAY = OneWay()


class _Spooling(Writer):
    def __init__(self, folder: Folder, given: Checkpoint | None, split: Split):
        self._folder, self._split = folder, split
        self._begun = folder.start(given)[1]
        self._last: File | None = folder.last()

    def resume(self) -> Checkpoint | None:
        return self._last.checkpoint if self._last else self._begun

    def opaque(self) -> Opaque:
        return self._split.opaque

    def prepare(self, batch: Batch) -> _Prepared:
        """The lines by branch, and the records that take none."""
        origins = batch.records if batch.origins is None else batch.origins
        names = [_encode(name) for name in apart(batch.ids)] if batch.ids else None
        made = _Prepared(named=names is not None)
        for index, (record, origin) in enumerate(zip(batch.records, origins, strict=True)):
            try:
                ways = self._split.ways(record)
                line = _line(record)
            except RejectRecord as error:
                made.refused.append(Refusal(index, error.reason, error.field))
            except (TypeError, ValueError, RecursionError) as error:
                made.refused.append(Refusal(index, f"not JSON: {error}"))
            else:
                parts = (line, line if origin is record else _line(origin))
                made.add(ways, (*parts, names[index]) if names else parts)
        return made

    def commit(self, prepared: _Prepared, checkpoint: Checkpoint, settle: Settle) -> Written:
        sections, paired = prepared.lines()
        lines = sum(map(len, sections.values()))
        written = Written(inserted=lines, refused=prepared.refused, made=prepared.more, filtered=prepared.ended)
        behind = replace(checkpoint, counters=dict(settle(written)))
        self._last = self._folder.write(behind, sections, paired, self._last)
        return written


@dataclass(slots=True)
class _Prepared:
    """A batch as lines."""

    named: bool = False
    sections: dict[str, list[tuple[bytes, ...]]] = field(default_factory=dict)
    """By branch: each record and its origin, and its name where it has one."""
    refused: list[Refusal] = field(default_factory=list)
    ended: int = 0
    """Records that take no branch."""
    more: int = 0
    """Copies of those that take several."""

    def add(self, ways: Sequence[str], parts: tuple[bytes, ...]) -> None:
        for way in ways:
            self.sections.setdefault(way, []).append(parts)
        self.ended += not ways
        self.more += max(0, len(ways) - 1)

    def lines(self) -> tuple[dict[str, list[bytes]], bool]:
        """By branch, and whether each line holds more than the record: not where that is its origin and has no name."""
        every = [parts for section in self.sections.values() for parts in section]
        if not self.named and all(line == origin or _compact(line) == _compact(origin) for line, origin in every):
            return {way: [parts[0] for parts in section] for way, section in self.sections.items()}, False
        return {way: [b"[%b]" % b",".join(parts) for parts in section] for way, section in self.sections.items()}, True


def _compact(line: bytes) -> bytes:
    """The same JSON without white space between its parts."""
    return msgspec.json.format(line, indent=-1)


def _line(record: Any) -> bytes:
    """JSON in one line; what came as JSON keeps its numbers as they were written."""
    if isinstance(record, bytes | bytearray | memoryview):
        record = msgspec.Raw(record)
    line = _encode(record)
    return _compact(line) if b"\n" in line else line
