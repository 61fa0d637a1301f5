"""Yield records that the spec itself holds.

For trying a pipeline and for small fixed tables.

Example:
    adapter: inline
    config:
      rows:
        - {id: a, type: click}
        - {id: b, type: view}
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from airflow_datahub.contract import Batch, Cursor, Record, Run, Source


class Inline(Source):
    identity: ClassVar[tuple[str, ...]] = ("rows",)

    rows: list[Record]
    """The records, in order."""

    def read(self, run: Run, cursor: Cursor | None) -> Iterator[Batch]:
        start = cursor or 0
        if start < len(self.rows):
            yield Batch(self.rows[start:], cursor=len(self.rows), total=len(self.rows))
