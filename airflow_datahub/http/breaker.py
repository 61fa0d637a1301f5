"""A circuit breaker: after failures in a row nothing is asked for a while, then a few trials decide (R17)."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from airflow_datahub.errors import RetryLater


@dataclass(frozen=True, slots=True)
class Fuse:
    """The numbers of a breaker."""

    failures: int = 5
    """In a row, that open it."""
    seconds: float = 30.0
    """That it stays open."""
    trials: int = 1
    """Requests under way at once while it is half open."""
    successes: int = 3
    """In a row, that close it again."""


LOOK_AGAIN = 0.1
"""Seconds that a request waits while others are the trials."""


class Breaker:
    """closed → failures in a row → open → after a time half open → successes → closed; any thread may use it."""

    def __init__(self, fuse: Fuse, clock: Callable[[], float] = time.monotonic):
        self._fuse = fuse
        self._clock = clock
        self._lock = threading.Lock()
        self._opened: float | None = None
        self._failures = 0
        self._successes = 0
        self._trials = 0

    async def turn(self) -> None:
        """Wait until a request may go out, which `succeeded`, `failed` or `neither` must follow. Raises RetryLater
        while the circuit is open."""
        while wait := self.admit():  # noqa: ASYNC110 - other threads' clients share the breaker
            await asyncio.sleep(wait)

    async def settle(self) -> None:
        """Wait, for a moment at most, until what was reported has arrived where it is kept."""

    def admit(self) -> float:
        """0 where a request may go out, which `succeeded`, `failed` or `neither` must follow, or the seconds after
        which to ask again. Raises RetryLater while the circuit is open."""
        with self._lock:
            if self._opened is None:
                return 0.0
            left = self._opened + self._fuse.seconds - self._clock()
            if left > 0:
                raise self._open(left)
            if self._trials >= self._fuse.trials:
                return LOOK_AGAIN
            self._trials += 1
            return 0.0

    def succeeded(self) -> None:
        """The server did its work, even where it said no."""
        with self._lock:
            self._failures = 0
            if self._opened is None or not self._trials:  # it was under way before the circuit opened
                return
            self._trials -= 1
            self._successes += 1
            if self._successes >= self._fuse.successes:
                self._opened = None

    def failed(self) -> None:
        """The server could not be reached, broke off or answered with an error of its own."""
        with self._lock:
            self._failures += 1
            if self._opened is not None or self._failures >= self._fuse.failures:
                self._opened, self._successes, self._trials = self._clock(), 0, 0

    def reset(self) -> None:
        """The circuit is closed, as is known from elsewhere."""
        with self._lock:
            self._opened, self._failures, self._successes, self._trials = None, 0, 0, 0

    def neither(self) -> None:
        """The request told nothing about the server: it was stopped, or asked to come later."""
        with self._lock:
            self._trials = max(0, self._trials - 1)

    def _open(self, left: float) -> RetryLater:
        return RetryLater(f"{self._fuse.failures} requests in a row failed, none is made for {left:.0f} s", left)
