"""How many records a commit carries: fewer while commits are slow, more while they are quick (DESIGN §5)."""

from __future__ import annotations

LEAST, MOST = 5_000, 20_000
"""Records between which the size moves, where the spec's own does not lie outside."""
SLOW, QUICK = 2.0, 0.5
"""Seconds."""


class Pace:
    """Starts at the spec's `batch_size`; told by the committing thread, asked by the one that fills commits."""

    def __init__(self, batch_size: int):
        self.records = batch_size
        self._least = min(batch_size, LEAST)
        self._most = max(batch_size, min(batch_size * 2, MOST))

    def learn(self, records: int, seconds: float) -> None:
        """A commit of so many records took so long. Several of one size may be under way: each halves only its own."""
        if seconds > SLOW:
            self.records = max(self._least, min(self.records, records // 2))
        elif seconds < QUICK and records >= self.records:
            self.records = min(self._most, self.records + max(1, self.records // 4))
