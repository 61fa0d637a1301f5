"""Adapters that do what ours do not: fan out, break, stop in the middle, be slow."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import ClassVar

from msgspec import Raw

from airflow_datahub.contract import (
    Applied,
    Batch,
    Cursor,
    Function,
    Partition,
    Record,
    Run,
    Source,
    Templated,
    Transform,
)


class Acts(Transform):
    field: str
    """What it does with a record is written in this field of it."""

    def compile(self, run: Run) -> Function:
        name = self.field

        def act(record: Record) -> Applied:
            what = record.get(name)
            record["done"] = [*record.get("done", ()), name]
            if what == "stops":
                raise StopIteration
            if what == "fails":
                raise ValueError(name)
            if what == "filters":
                return None
            copies = {"ones": 1, "twos": 2, "nones": 0}.get(what or "")
            return record if copies is None else [dict(record, copy=number) for number in range(copies)]

        return act


class Twice(Transform):
    """Every record twice."""

    def compile(self, run: Run) -> Function:
        return lambda record: [record, {**record, "copy": True}]


class Buggy(Transform):
    """Raises what no operator should, for records with `bug`."""

    def compile(self, run: Run) -> Function:
        def apply(record: Record) -> Record:
            if "bug" in record:
                record["half"] = True
                raise KeyError("oops")
            return record

        return apply


class Numbers(Source):
    """Pages of `{"n": …}`; the last has no cursor behind it."""

    identity: ClassVar[tuple[str, ...]] = ()

    count: int
    """How many."""

    page: int = 10
    """How many a page."""

    pause: float = 0
    """Seconds before each page."""

    fail_at: int | None = None
    """Break before the page that starts there."""

    sizes: tuple[int, ...] = ()
    """Bytes of each page, as if they were so large."""

    def read(self, run: Run, cursor: Cursor | None) -> Iterator[Batch]:
        for start in range(cursor or 0, self.count, self.page):
            time.sleep(self.pause)
            if self.fail_at == start:
                raise OSError("the cable is out")
            records = [{"n": n} for n in range(start, min(start + self.page, self.count))]
            after = start + self.page
            size = self.sizes[start // self.page] if self.sizes else len(records) * 10
            yield Batch(records, cursor=after if after < self.count else None, size=size, total=self.count)


class Pages(Source):
    """Pages of records that are JSON texts, as an API would give them; behind each but the last lies a cursor."""

    identity: ClassVar[tuple[str, ...]] = ()

    pages: tuple[tuple[str, ...], ...]
    """The texts, page by page."""

    def read(self, run: Run, cursor: Cursor | None) -> Iterator[Batch]:
        for number, page in enumerate(self.pages[cursor or 0 :], (cursor or 0) + 1):
            records = [Raw(text.encode("utf-8", "surrogateescape")) for text in page]
            after = number if number < len(self.pages) else None
            yield Batch(records, cursor=after, size=sum(map(len, page)))


class Startled(Source):
    """One record, then nothing until the run is to end, which it takes for an error."""

    def read(self, run: Run, cursor: Cursor | None) -> Iterator[Batch]:
        yield Batch([{"n": 1}], cursor=1)
        if run.stopping.wait(10):
            raise OSError("cut off")


class Shelves(Source):
    """Knows its parts: a name, and how many records are there."""

    identity: ClassVar[tuple[str, ...]] = ()

    shelves: dict[str, int]

    def partitions(self, run: Run) -> Iterator[Partition]:
        return (Partition(name.lower()) for name in self.shelves)

    def read(self, run: Run, cursor: Cursor | None) -> Iterator[Batch]:
        assert run.partition
        records = [{"id": f"{run.partition.key}-{n}"} for n in range(self.shelves.get(run.partition.key, 0))]
        yield Batch(records[cursor or 0 :], len(records))


class Crossing(Source):
    """The same keys, upwards or downwards."""

    identity: ClassVar[tuple[str, ...]] = ()

    count: int
    key: Templated[str]

    def read(self, run: Run, cursor: Cursor | None) -> Iterator[Batch]:
        numbers = range(self.count) if self.key == "up" else range(self.count - 1, -1, -1)
        for start in range(0, self.count, 2_000):
            yield Batch([{"id": f"{n:06}", "day": self.key} for n in numbers[start : start + 2_000]], start + 2_000)
