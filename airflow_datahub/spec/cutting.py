"""How a source is cut into partitions: windows of time, ranges of numbers, names.

Cutting is arithmetic: the same words, moment and time zone give the same partitions in the same order, so that they
need not be written down, and any one of a million is found without making the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import overload

from airflow_datahub.contract import Partition
from airflow_datahub.errors import ConfigurationError

MOST = 1_000_000
"""Partitions of a source."""

DAY = timedelta(days=1)


class Parts(Sequence[Partition]):
    """Partitions that are made when they are asked for."""

    def __init__(self, count: int, nth: Callable[[int], Partition]):
        """`nth` gives the one at an index, from 0 on. ConfigurationError for more than a million."""
        if count > MOST:
            raise ConfigurationError(too_many(count))
        self._indices, self._nth = range(count), nth

    def __len__(self) -> int:
        return len(self._indices)

    @overload
    def __getitem__(self, index: int) -> Partition: ...
    @overload
    def __getitem__(self, index: slice) -> list[Partition]: ...
    def __getitem__(self, index: int | slice) -> Partition | list[Partition]:
        if isinstance(index, slice):
            return [self._nth(each) for each in self._indices[index]]
        return self._nth(self._indices[index])


def too_many(count: int) -> str:
    """What is wrong with so many partitions."""
    return f"that makes {count:,} partitions, at most {MOST:,} can be: give them a larger size"


def of_names(names: Sequence[str]) -> Parts:
    """One a name."""
    return Parts(len(names), lambda index: Partition(names[index]))


@dataclass(frozen=True, slots=True)
class Ranges:
    """Ranges of whole numbers; both ends belong to them."""

    first: int
    last: int
    size: int

    @property
    def count(self) -> int:
        """How many there are."""
        return -(-(self.last - self.first + 1) // self.size)

    def parts(self) -> Parts:
        """The partitions, the last one cut short where it must be."""
        return Parts(self.count, self._nth)

    def _nth(self, index: int) -> Partition:
        start = self.first + index * self.size
        end = min(start + self.size - 1, self.last)
        return Partition(f"{start}-{end}", start, end)


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of time, each without its end. Whole days are counted on the calendar of the zone, else seconds."""

    first: datetime
    """Where the first one begins; in `zone` where it names none of its own, as `last`."""
    last: datetime
    """Where the last one ends, or lies."""
    size: timedelta
    zone: tzinfo
    lag: timedelta = timedelta(0)
    """How long after its end a window is closed."""
    whole: bool = False
    """The last one is not cut short."""

    @property
    def count(self) -> int:
        """How many begin before the last moment."""
        if not self._by_calendar:
            return max(0, -((_utc(self._first) - _utc(self._last)) // self.size))
        days = self._last.replace(tzinfo=None) - self._first.replace(tzinfo=None)
        count = max(0, -(-days // self.size))
        return count - 1 if count and _utc(self._start(count - 1)) >= _utc(self._last) else count

    def parts(self) -> Parts:
        """The partitions."""
        return Parts(self.count, self._nth)

    def _nth(self, index: int) -> Partition:
        start, end = self._start(index), self._start(index + 1)
        if not self.whole and _utc(end) > _utc(self._last):
            end = self._last
        return Partition(_key(start, end), _text(start), _text(end), closes=_utc(end) + self.lag)

    def _start(self, index: int) -> datetime:
        if self._by_calendar:
            return (self._first.replace(tzinfo=None) + index * self.size).replace(tzinfo=self.zone)
        return (_utc(self._first) + index * self.size).astimezone(self.zone)

    @property
    def _by_calendar(self) -> bool:
        return self.size % DAY == timedelta(0)

    @property
    def _first(self) -> datetime:
        return self._in_zone(self.first)

    @property
    def _last(self) -> datetime:
        return self._in_zone(self.last)

    def _in_zone(self, moment: datetime) -> datetime:
        return moment.astimezone(self.zone) if moment.tzinfo else moment.replace(tzinfo=self.zone)


def _key(start: datetime, end: datetime) -> str:
    """`2024-01-15` for a day, else beginning and end: another content must have another key."""
    day = _midnight(start) and start.replace(tzinfo=None) + DAY == end.replace(tzinfo=None)
    return _short(start) if day else f"{_short(start)}/{_short(end)}"


def _short(moment: datetime) -> str:
    """Without what goes without saying: `2024-01-15`, `2024-01-15T06:00Z`, `2024-01-15+01:00`."""
    zone = "" if moment.utcoffset() == timedelta(0) else moment.isoformat()[-6:]
    if _midnight(moment):
        return f"{moment:%Y-%m-%d}{zone}"
    exact = "auto" if moment.second or moment.microsecond else "minutes"
    return moment.replace(tzinfo=None).isoformat(timespec=exact) + (zone or "Z")


def _text(moment: datetime) -> str:
    """`2024-01-15T00:00:00Z`, or with the offset of its zone."""
    return moment.isoformat().replace("+00:00", "Z")


def _midnight(moment: datetime) -> bool:
    return moment.time().isoformat() == "00:00:00"


def _utc(moment: datetime) -> datetime:
    """Moments of one zone are compared, and counted between, as its clock shows them; this one's never goes back."""
    return moment.astimezone(UTC)
