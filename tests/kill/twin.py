"""Deliberately broken adapters. The tests must see what each of them loses, or they would not see a loss of ours."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from typing import Any

import httpx
from psycopg import sql

from airflow_datahub.adapters.sinks.postgres import Postgres
from airflow_datahub.contract import Batch, Checkpoint, Cursor, Run, Settle, Source, Stream, Writer, Written
from airflow_datahub.engine.rejecting import Rejecting
from airflow_datahub.postgres import checkpoints, inbox
from airflow_datahub.postgres.ahead import Ahead, Copy
from airflow_datahub.postgres.connecting import connect
from airflow_datahub.postgres.loading import Loader

GAP = 0.2
"""Seconds in which a twin's rows lag behind its checkpoint, so that few kills are needed to fall in between."""


class CheckpointFirst(Postgres):
    """It makes the checkpoint durable before the rows: a kill between the two loses rows."""

    def open(self, run: Run, stream: Stream) -> Writer:
        return _CheckpointFirst(super().open(run, stream), super().open(run, replace(stream, stream="rows")))


class _CheckpointFirst(Writer):
    def __init__(self, checkpoints: Writer, rows: Writer):
        self._checkpoints, self._rows = checkpoints, rows
        known = rows.resume()
        self._version = known.version if known else 0

    def resume(self) -> Checkpoint | None:
        return self._checkpoints.resume()

    def target(self) -> str | None:
        return self._rows.target()

    def prepare(self, batch: Any) -> Any:
        return self._rows.prepare(batch)

    def commit(self, prepared: Any, checkpoint: Checkpoint, settle: Settle) -> Written:
        nothing = replace(prepared.batch, records=[], origins=None)
        self._checkpoints.commit(self._checkpoints.prepare(nothing), checkpoint, lambda _: {})
        time.sleep(GAP)
        self._version += 1
        return self._rows.commit(prepared, replace(checkpoint, version=self._version), settle)

    def close(self) -> None:
        self._checkpoints.close()
        self._rows.close()


class HalfSwapped(Postgres):
    """PostgreSQL, wrong: the old rows go in a transaction of their own."""

    def open(self, run: Run, stream: Stream) -> Writer:
        writer = super().open(run, stream)
        finish = writer.finish

        def in_two(checkpoint: Checkpoint) -> None:
            writer._link.session.execute("delete from ingested_events where ctid::text like '%1)'")  # type: ignore[attr-defined]
            finish(checkpoint)

        writer.finish = in_two  # type: ignore[method-assign]
        return writer


class UncountedStage(Postgres):
    """It trusts its stages: a crash of the server empties them, and the checkpoint moves over what is gone."""

    def open(self, run: Run, stream: Stream) -> Writer:
        Loader._count = lambda *_: None  # type: ignore[method-assign]
        Ahead.stage_of = _trusted  # type: ignore[method-assign]
        return super().open(run, stream)


def _trusted(self: Ahead, copy: Copy) -> sql.Identifier | None:
    return copy.stages.table(copy.name) if copy.stages else None


class NoFence(Postgres):
    """It moves the checkpoint from wherever it stands: a zombie puts it back to what it knew itself."""

    def open(self, run: Run, stream: Stream) -> Writer:
        checkpoints.move = _unfenced(checkpoints.move)
        return super().open(run, stream)


def _unfenced(move: Callable[..., None]) -> Callable[..., None]:
    def moved(session: Any, schema: str, stream: Stream, to: Checkpoint, counters: Any) -> None:
        stands = checkpoints.read(session, schema, stream)
        move(session, schema, stream, replace(to, version=(stands.version if stands else 0) + 1), counters)

    return moved


class InboxApart(Postgres):
    """It takes the names of rejects in a transaction of its own: a kill behind it loses their rows."""

    def open(self, run: Run, stream: Stream) -> Writer:
        session = connect(run.connections(self.connection))
        inbox.new_ones = _alone(inbox.new_ones, session)
        return super().open(run, stream)


def _alone(new_ones: Callable[..., list[int]], session: Any) -> Callable[..., list[int]]:
    gaps = iter([GAP])  # at the first commit alone, so that the run that ends takes no longer

    def taken(_: Any, schema: str, ids: Any) -> list[int]:
        with session.transaction():
            new = new_ones(session, schema, ids)
        time.sleep(next(gaps, 0))
        return new

    return taken


class RejectsFirst(Postgres):
    """Its rejects are open before the commit: a kill between the two leaves them there beside those of the next try."""

    def open(self, run: Run, stream: Stream) -> Writer:
        Rejecting.add = _opened(Rejecting.add)  # type: ignore[method-assign]
        return super().open(run, stream)


def _opened(add: Callable[..., None]) -> Callable[..., None]:
    def added(self: Rejecting, version: int, rejects: Any, *, provisional: bool) -> None:
        add(self, version, rejects, provisional=False)

    return added


class ErrorIsEnd(Source):
    """It takes an answer without records for the end, whatever its status: an error or a rate limit loses the rest."""

    connection: str
    limit: int = 300

    def read(self, run: Run, cursor: Cursor | None) -> Iterator[Batch]:
        position = cursor or 0
        with _client(run, self.connection) as client:
            while records := client.get("events", params={"offset": position, "limit": self.limit}).json().get("data"):
                position += len(records)
                yield Batch(records, position)


def _client(run: Run, name: str) -> httpx.Client:
    connection = run.connections(name)
    headers = {"X-API-Key": connection.password or ""}
    return httpx.Client(base_url=f"{connection.host}/", headers=headers, trust_env=False)


class HighestPage(Source):
    """It hands pages on as they come, each with the highest position so far: a kill loses those that come later."""

    connection: str
    limit: int = 300
    together: int = 5

    def read(self, run: Run, cursor: Cursor | None) -> Iterator[Batch]:
        highest = start = cursor or 0
        with (
            _client(run, self.connection) as client,
            ThreadPoolExecutor(self.together) as pool,
        ):
            while True:
                starts = range(start, start + self.limit * self.together, self.limit)
                under_way = {pool.submit(self._page, client, each): each for each in starts}
                for each in as_completed(under_way):
                    records = each.result()
                    if records:
                        highest = max(highest, under_way[each] + len(records))
                        yield Batch(records, highest, size=100_000)
                start = starts.stop
                if highest < start:
                    return

    def _page(self, client: httpx.Client, start: int) -> list[dict[str, Any]]:
        if start // self.limit % self.together == 0:
            time.sleep(GAP)  # the others come before it
        answer = client.get("events", params={"offset": start, "limit": self.limit}).raise_for_status()
        return list(answer.json()["data"])
