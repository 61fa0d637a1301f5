"""A source whose records are counted easily, and one whose pages end where no commit does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from airflow_datahub.contract import Batch, Cursor, Run, Source


class Numbers(Source):
    """`{"id": n}`, a hundred a page."""

    identity: ClassVar[tuple[str, ...]] = ("name",)

    until: int
    """How many there are."""

    name: str = ""
    """What gives its cursor its meaning."""

    def read(self, run: Run, cursor: Cursor | None) -> Iterator[Batch]:
        for start in range(cursor or 0, self.until, 100):
            numbers = range(start, min(start + 100, self.until))
            whole = len(numbers) == 100
            yield Batch([{"id": n} for n in numbers], cursor=start + 100 if whole else None, size=1000)
