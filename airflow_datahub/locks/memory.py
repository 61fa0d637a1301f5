"""A lock between the threads of one process."""

from __future__ import annotations

import threading
from functools import cache

from airflow_datahub.locks.lock import Keeper, Wanted


class MemoryLock(Keeper):
    """Kept by the process itself."""

    place = "in this process"

    def __init__(self, wanted: Wanted):
        self._lock, self._holders = _shared(wanted.name)
        self._mine, self._held = wanted.holder, False

    def take(self) -> bool:
        self._held = self._lock.acquire(blocking=False)
        if self._held:
            self._holders[:] = [self._mine]
        return self._held

    def holder(self) -> str:
        return "".join(self._holders)

    def check(self) -> None:
        """Nobody can take it away."""

    def close(self) -> None:
        if self._held:
            self._held = False
            self._holders.clear()
            self._lock.release()


@cache
def _shared(name: str) -> tuple[threading.Lock, list[str]]:
    return threading.Lock(), []
