"""How many records a commit carries: fewer while commits are slow, more while they are quick (DESIGN §5)."""

from __future__ import annotations

LEAST, MOST = 5_000, 20_000
"""Records between which the size moves, where the spec's own does not lie outside."""
SLOW, QUICK = 2.0, 0.5
"""Seconds."""
FIRST, GROWS = 1_000, 3
"""Records of the first commit, and how many times as many the next ones carry, where the sink may start early."""


class Pace:
    """Starts at the spec's `batch_size`; told by the committing thread, asked by the one that fills commits."""

    def __init__(self, batch_size: int):
        self.records = self._from = batch_size
        self._least = min(batch_size, LEAST)
        self._most = max(batch_size, min(batch_size * 2, MOST))

    def start_early(self) -> None:
        """Begin with small commits, so that the sink works while the first records come."""
        self.records = min(self._from, FIRST)

    def sent(self) -> None:
        """A commit was filled."""
        if self.records < self._from:
            self.records = min(self._from, self.records * GROWS)

    def learn(self, records: int, seconds: float) -> None:
        """A commit of so many records took so long. Several of one size may be under way: each halves only its own."""
        if seconds > SLOW:
            least = min(self._least, self.records)
            self.records = self._from = max(least, min(self.records, records // 2))
        elif seconds < QUICK and records >= self.records >= self._from:
            self.records = min(self._most, self.records + max(1, self.records // 4))
