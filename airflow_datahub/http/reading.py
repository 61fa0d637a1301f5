"""Read page after page, with as many requests under way as the walk knows addresses for.

Pages come out strictly in the order of the walk (R3): what is fetched ahead is a guess at where the walk will go, and
one that it does not take is thrown away. A request that fails ends the read when its turn has come, not before.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import replace
from itertools import islice
from typing import Any

from airflow_datahub.contract import Cursor
from airflow_datahub.errors import RunFailed
from airflow_datahub.http.paging import Fetched, Step, Walk

AHEAD_BYTES = 24 << 20
"""What pages hold that are fetched and wait for their turn, if they are no larger than those before."""

Ask = Callable[[Cursor | None], Coroutine[Any, Any, Fetched]]
"""Fetches the page at a position."""


class Reading:
    """One read along a walk."""

    def __init__(self, walk: Walk, ask: Ask, most: int):
        """At most `most` requests are under way at once."""
        self._walk = walk
        self._ask = ask
        self._most = most
        self._largest = 1
        self._under_way: dict[Cursor | None, asyncio.Task[Fetched]] = {}

    async def pages(self, start: Cursor | None) -> AsyncGenerator[tuple[Fetched, Step]]:
        """The pages from a position on; the next one is asked for before one is handed over."""
        position = start
        try:
            self._begin([position])
            while True:
                fetched = await self._under_way.pop(position)
                step = self._walk.step(position, fetched)
                self._largest = max(self._largest, len(fetched.page.body))
                if step.more:
                    await self._go_on(step.behind)
                elif fetched.missing:
                    await self._prove_end(position, fetched, begun=position == start)
                yield fetched, step if step.proven or await self._goes_on(step.behind) else replace(step, behind=None)
                if not step.more:
                    return
                position = step.behind
        finally:
            await self._abandon(list(self._under_way))

    async def _goes_on(self, position: Cursor | None) -> bool:
        """Whether there are records on the page that is under way; if it fails, that is not known."""
        task = self._under_way[position]
        await asyncio.wait([task])
        return not task.cancelled() and not task.exception() and bool(task.result().page.origins)

    async def _prove_end(self, position: Cursor | None, missing: Fetched, *, begun: bool) -> None:
        """Raise unless the pages behind a missing one, as many as were asked for and at least one, have no records.

        Where the read has `begun` at it, no page shows yet that the list is there, nor how far behind the next page is.
        """
        if begun:
            self._walk.measure(await self._ask(None))
        if not self._under_way and position is not None:
            self._begin(list(islice(self._walk.ahead(position), 1)))
        for task in self._under_way.values():
            behind = (await task).page
            if behind.origins:
                raise RunFailed(
                    f"{missing.page.shown}: answered 404, though a page behind it has records ({behind.shown}): not "
                    f"the end; the next try asks again"
                )

    async def _go_on(self, position: Cursor | None) -> None:
        wanted = [position]
        if not any(task.done() and task.exception() for task in self._under_way.values()):
            ahead = min(self._most, AHEAD_BYTES // self._largest)
            wanted += islice(self._walk.ahead(position), max(0, ahead - 1))
        await self._abandon([other for other in self._under_way if other not in wanted])
        self._begin(wanted)
        await _turns()

    def _begin(self, positions: list[Cursor | None]) -> None:
        for position in positions:
            if position not in self._under_way:
                self._under_way[position] = asyncio.ensure_future(self._ask(position))

    async def _abandon(self, positions: list[Cursor | None]) -> None:
        tasks = [self._under_way.pop(position) for position in positions]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=0.2)
        for task in tasks:
            if task.done() and not task.cancelled():
                task.exception()


async def _turns() -> None:
    """Let the requests that were just started reach the wire, which takes four turns of the loop, before the decoding
    of a page holds the loop up."""
    for _ in range(8):
        await asyncio.sleep(0)
