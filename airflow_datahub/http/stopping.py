"""End a wait when the run is asked to stop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from airflow_datahub.errors import Interrupted

T = TypeVar("T")

LOOK_EVERY = 0.1
"""Seconds between two looks at the flag: it is set from other threads, and a task leaves within four seconds."""


async def unless_stopped(stopping: threading.Event, work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns or raises; once `stopping` is set `work` is cancelled and Interrupted raised."""
    task = asyncio.ensure_future(work)
    try:
        while not stopping.is_set():
            done, _ = await asyncio.wait({task}, timeout=LOOK_EVERY)
            if done:
                return task.result()
    finally:
        await abandon(task)
    raise Interrupted("a stop was asked for")


async def abandon(task: asyncio.Future[Any]) -> None:
    """Cancel what is still under way; what it raises is of no interest any more."""
    if task.cancel():
        await asyncio.wait({task}, timeout=2 * LOOK_EVERY)
    if task.done() and not task.cancelled():
        task.exception()
