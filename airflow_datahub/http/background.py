"""Asynchronous work for threads that are not: one loop in a thread of its own, for as long as a stage runs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import ExitStack
from typing import Any, TypeVar

T = TypeVar("T")


class Background:
    """Any thread may hand it work and wait for the result; `closing` ends it."""

    def __init__(self, closing: ExitStack):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="datahub-asking")
        self._thread.start()
        closing.callback(self._end)

    def result(self, work: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """What the work gives or raises; TimeoutError where it takes longer than so many seconds."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout)

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(1)
        if not self._loop.is_running():
            self._loop.close()
