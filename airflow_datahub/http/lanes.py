"""How many requests are under way at once: it adapts to what the server can take (DESIGN §5)."""

from __future__ import annotations

import asyncio
from typing import Self

START = 5
NARROW = 2
"""After refusals in a row."""
REFUSALS = 3
SUCCESSES = 50
"""In a row, for one lane more."""


class Lanes:
    """An asynchronous context manager around each request; `width` of them are open at once, at most `most`."""

    def __init__(self, most: int):
        self.most = max(1, most)
        self.width = min(START, self.most)
        self._busy = 0
        self._refusals = 0
        self._successes = 0
        self._free = asyncio.Condition()

    async def __aenter__(self) -> Self:
        async with self._free:
            await self._free.wait_for(lambda: self._busy < self.width)
            self._busy += 1
        return self

    async def __aexit__(self, *error: object) -> None:
        self._busy -= 1
        async with self._free:  # never held over a wait, so this does not wait either
            self._free.notify_all()

    def succeeded(self) -> None:
        """An answer came."""
        self._refusals = 0
        self._successes += 1
        if self._successes >= SUCCESSES:
            self._successes = 0
            self.width = min(self.most, self.width + 1)

    def refused(self) -> None:
        """The server said that it is too busy for us (429)."""
        self._successes = 0
        self._refusals += 1
        if self._refusals >= REFUSALS:
            self._refusals = 0
            self.width = min(self.width, NARROW)
