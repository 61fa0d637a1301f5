"""Read a source from its start, for code that wants its records and has no sink."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from airflow_datahub.engine.channel import Channel, Closed
from airflow_datahub.engine.projection import decoded
from airflow_datahub.errors import RunFailed

if TYPE_CHECKING:
    from airflow_datahub.adapters.sources.http_api import HttpApi
    from airflow_datahub.contract import Batch, Record, Run


def records_of(source: HttpApi, run: Run) -> Iterator[Record]:
    """Every record, in order; at most a page is read ahead. An iterator that is closed early ends the reading.

    Raises the errors of the source, RunFailed for a record that is no object."""
    reading = _Reading(source, replace(run, stopping=threading.Event()))
    try:
        for batch in reading.batches:
            for record in batch.records:
                yield _object(decoded(record))
    finally:
        reading.end()
    if reading.error:
        raise reading.error


class _Reading:
    """A thread of its own, so that time limits hold while the other side takes its time with a page."""

    def __init__(self, source: HttpApi, run: Run):
        self._source, self._run = source, run
        self.batches: Channel[Batch] = Channel(1)
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=contextvars.copy_context().run, args=(self._read,), daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Wait until nothing is asked any more."""
        self._run.stopping.set()
        self.batches.close()
        self._thread.join()

    def _read(self) -> None:
        try:
            asyncio.run(self._hand_over())
        except Closed:
            pass
        except BaseException as error:
            self.error = error
        self.batches.finish()

    async def _hand_over(self) -> None:
        batches = cast("AsyncGenerator[Batch]", self._source.read(self._run, None))
        async with aclosing(batches) as pages:
            async for batch in pages:
                await asyncio.to_thread(self.batches.put, batch)


def _object(record: object) -> Record:
    if isinstance(record, dict):
        return record
    raise RunFailed(f"a record is no JSON object that can be read: {str(record)[:80]!r}")
