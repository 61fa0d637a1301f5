"""Where a stream stands, and how its batches are cut into pieces that a commit can carry.

A position is the cursor at the start of what is not wholly read, and how many records behind it are dealt with. That
needs nothing of a source but the same order again, and it lets a commit end in the middle of a page.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from airflow_datahub.contract import Batch, Checkpoint, Cursor


@dataclass(slots=True)
class Position:
    """Moves over the batches of a source; `cursor` and `skip` are what a checkpoint keeps."""

    cursor: Cursor | None = None
    seen: int = 0
    """Records behind `cursor` that have come by since."""
    left: int = 0
    """Records still to be passed over: an earlier run dealt with them."""

    @classmethod
    def of(cls, checkpoint: Checkpoint | None) -> Position:
        """The position that a checkpoint keeps; without one, the start of the source."""
        return cls(checkpoint.cursor, left=checkpoint.skip) if checkpoint else cls()

    @property
    def skip(self) -> int:
        """Records behind `cursor` that are dealt with."""
        return self.seen + self.left

    def pieces(self, batch: Batch, most: int) -> Iterator[Batch]:
        """The batch's new records in pieces of at most `most`; the position stands behind each piece as it is given."""
        count = len(batch.records)
        known = min(self.left, count)
        self.left -= known
        self.seen += known
        for start in range(known, count, most):
            end = min(start + most, count)
            self.seen += end - start
            if end == count:
                self._pass(batch)
            yield _piece(batch, start, end)
        if known == count:
            self._pass(batch)

    def _pass(self, batch: Batch) -> None:
        if batch.cursor is not None:
            self.cursor, self.seen = batch.cursor, 0


def _piece(batch: Batch, start: int, end: int) -> Batch:
    count = len(batch.records)
    if end - start == count:
        return batch
    origins = None if batch.origins is None else batch.origins[start:end]
    return Batch(batch.records[start:end], batch.cursor, origins, batch.size * (end - start) // count, 0)
