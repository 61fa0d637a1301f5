"""One stage from source to sink: three threads with bounded queues between them, commits in the order of the source.

    reader --fetched--> worker (steps, encoding) --prepared--> committer

The calling thread only waits, with time limits. An error of the reader still lets through what was fetched before it;
an error of the others ends all three at once.
"""  # fmt: skip

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, cast

from msgspec import Raw

from airflow_datahub.contract import Batch, Checkpoint, Refusal, Run, Source, Stream, Writer, Written
from airflow_datahub.engine.chain import Chain, set_aside
from airflow_datahub.engine.channel import Channel, Closed, Room
from airflow_datahub.engine.hooking import Calling
from airflow_datahub.engine.load import Load
from airflow_datahub.engine.naming import named
from airflow_datahub.engine.pace import Pace
from airflow_datahub.engine.position import START, Place, Position, told
from airflow_datahub.engine.projection import decoded
from airflow_datahub.engine.rejecting import Rejecting
from airflow_datahub.engine.remade import Remade
from airflow_datahub.engine.tally import Tally
from airflow_datahub.errors import Interrupted, StopRun
from airflow_datahub.state import Counters, Reject

FETCHED_BYTES = 24 << 20
"""JSON that may wait between reader and worker."""
COMMIT_BYTES = 5 << 20
"""JSON that fills a commit: three are in memory at once, one of them decoded, which takes three times as much."""
CANCEL_AFTER = 2.0
"""Seconds after a stop at which running SQL is cancelled."""
LEAVE_AFTER = 3.0
"""Seconds after a stop at which the stage is left, come what may; the rest is for the ledger and the last line."""


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """All that a stage needs to know: who reads, what happens, who writes, and where the stream stands."""

    run: Run
    stream: Stream
    source: Source
    fingerprint: str
    chain: Chain
    load_key: str
    on_error: str
    """What becomes of records that the sink refuses."""
    writer: Writer
    keeps_checkpoint: bool
    checkpoint: Checkpoint | None
    tally: Tally
    rejects: Rejecting
    batch_size: int
    full: bool = False
    """Start at the beginning, whatever the checkpoint says."""
    limit: int | None = None
    replaces: bool = False
    """What the run brings is shown at its end, all at once."""
    calling: Calling | None = None
    """The pipeline's hooks, where there are any behind a commit."""
    closes: bool = False
    """Once it is read to its end, nothing will come any more."""
    may_write: Callable[[], None] = lambda: None
    """Asked before each commit; raises where it may not be made."""

    @property
    def finished(self) -> bool:
        """Whether there is nothing to do, now and ever."""
        return not self.full and self.checkpoint is not None and self.checkpoint.finished


class Stage:
    """Runs once; `run` returns when the source is read to its end and all of it is durable."""

    def __init__(self, assignment: Assignment):
        self._do = do = assignment
        self._writer, self._tally = do.writer, do.tally
        self._stopping = threading.Event()
        self._run = replace(do.run, stopping=self._stopping, checkpoint=None if do.full else do.checkpoint)
        self._version = do.checkpoint.version if do.checkpoint else 0
        self._position = Position() if do.full else Position.of(do.checkpoint)
        self._committed = None if do.full and do.checkpoint else self._position.place
        self._start, self._remaining = self._position.place.cursor, do.limit
        self._load = Load()
        self._fetched: Channel[tuple[Batch, float]] = Channel(2)
        self._prepared: Channel[tuple[Load, Batch, Any]] = Channel(1)
        """With what the worker holds and what is being committed: three, one being encoded, one copied, one written."""
        self._pace, self._paced = Pace(do.batch_size), False
        self._room = Room(FETCHED_BYTES)
        self._error: BaseException | None = None
        self._step_of_error = ""
        self._complete = False
        self.resumed = self._position.place != START
        self.total: int | None = None
        """Records in the whole source, once it has said so."""

    def run(self, watch: Callable[[], None]) -> None:
        """Run to the end; `watch` is called about ten times a second. Raises the first error, or Interrupted."""
        extract, load = self._do.chain.extract, self._do.load_key
        parts = ((self._read, extract), (self._work, load), (self._commit_all, load))
        threads = [threading.Thread(target=self._guarded, args=part, daemon=True) for part in parts]
        for thread in threads:
            thread.start()
        try:
            left = self._wait(threads, watch)
        except BaseException:
            self._end_all()
            raise
        if left:
            self._end_all()  # threads that wait for a place would keep the process from ending
        else:
            self._writer.close()
        if self._error:
            raise named(self._error, self._do.stream.pipeline, self._step_of_error)
        if left or not self._complete:
            unsure = ", its last commit without an answer" if left else ""
            raise Interrupted(f"pipeline {self._do.stream.pipeline!r}: stopped; what is complete is committed{unsure}")

    @property
    def stands(self) -> dict[str, Any] | None:
        """Where the next run goes on, for the log; None where it begins at the start."""
        place = self._committed
        if not place or place == START or not self._do.keeps_checkpoint:
            return None
        return {"version": self._version, "cursor": told(place.cursor), "skip": place.skip}

    def _wait(self, threads: list[threading.Thread], watch: Callable[[], None]) -> bool:
        """True if a thread had to be left behind."""
        asked: float | None = None
        cancelled = False
        while any(thread.is_alive() for thread in threads):
            threads[-1].join(0.1)
            watch()
            now = time.monotonic()
            if asked is None and self._do.run.stopping.is_set():
                asked = now
                self._stopping.set()
            if asked is not None and not cancelled and now - asked > CANCEL_AFTER:
                cancelled = True
                threading.Thread(target=self._writer.cancel, daemon=True).start()  # a dead server answers to nobody
            if asked is not None and now - asked > LEAVE_AFTER:
                return True
        return False

    def _guarded(self, part: Callable[[], None], step: str) -> None:
        try:
            part()
        except Closed:
            pass
        except BaseException as error:
            if self._error is None:
                self._error, self._step_of_error = error, step
            self._end_all()

    def _end_all(self) -> None:
        self._stopping.set()
        self._fetched.close()
        self._prepared.close()
        self._room.close()

    # --- the reader

    def _read(self) -> None:
        try:
            batches = self._do.source.read(self._run, self._start)
            if isinstance(batches, AsyncIterator):
                asyncio.run(self._read_async(batches))
            else:
                self._read_plain(batches)
        except Closed:
            raise
        except Interrupted:
            self._complete = False
        except BaseException as error:
            if self._error is None:  # else it is what came of the end of the others
                self._error, self._step_of_error = error, self._do.chain.extract
        self._fetched.finish()

    def _read_plain(self, batches: Iterator[Batch]) -> None:
        since = time.perf_counter()
        for batch in batches:
            self._offer(batch, time.perf_counter() - since)
            if self._stopping.is_set():
                return
            since = time.perf_counter()
        self._complete = not self._stopping.is_set()

    async def _read_async(self, batches: AsyncIterator[Batch]) -> None:
        since = time.perf_counter()
        async with aclosing(cast("AsyncGenerator[Batch]", batches)) as pages:
            async for batch in pages:
                seconds = time.perf_counter() - since
                if not self._offer(batch, seconds, wait=False):
                    # in a thread, so that waiting for room does not stop the loop and its time limits
                    await asyncio.to_thread(self._offer, batch, seconds)
                if self._stopping.is_set():
                    return
                since = time.perf_counter()
        self._complete = not self._stopping.is_set()  # a source may end early because of the stop

    def _offer(self, batch: Batch, seconds: float, *, wait: bool = True) -> bool:
        """Hand a batch on, unless a stop was asked for; False where there is no room now and it is not waited for."""
        if self._stopping.is_set():
            return True
        if not self._room.take(batch.size, wait=wait):
            return False
        if not self._fetched.put((batch, seconds), wait=wait):
            self._room.give_back(batch.size)
            return False
        self.total = batch.total if batch.total is not None else self.total
        return True

    # --- the worker

    def _work(self) -> None:
        for batch, seconds in self._fetched:
            counts = Counters(pages=batch.pages, retries=batch.retries, bytes=batch.size, seconds=seconds)
            self._load.count(self._do.chain.extract, counts)
            self._take_in(batch)
            self._room.give_back(batch.size)
            if self._remaining == 0:
                self._complete = True
                self._fetched.close()
                self._room.close()
                break
        else:
            self._begin_again()
        self._send()
        self._prepared.finish()

    def _take_in(self, batch: Batch) -> None:
        size = max(1, batch.size // max(1, len(batch.records)))
        for piece in self._position.pieces(batch, lambda: self._most(size)):
            self._load.add(self._do.chain.apply(piece), piece)
            self._load.place = self._position.place
            self._count_down(piece)
            self._set_pace()
            if self._load.read >= self._pace.records or self._load.size >= COMMIT_BYTES:
                self._send()
            if self._remaining == 0:
                break
        self._load.place, self._load.due = self._position.place, True

    def _set_pace(self) -> None:
        if self._load.records and not self._paced:
            self._paced = True
            if self._writer.settled(self._load.records):
                self._pace.start_early()

    def _most(self, size: int) -> int:
        """Records of the next piece; a page is cut where the load is full, or where it would fill a load by itself."""
        room = min(self._pace.records - self._load.read, (COMMIT_BYTES - self._load.size) // size)
        return max(1, room if self._remaining is None else min(room, self._remaining))

    def _count_down(self, piece: Batch) -> None:
        if self._remaining is not None:
            self._remaining -= len(piece.records)
        if self._position.lost:
            self._position.lost = False
            if self._do.replaces:
                raise StopRun("the source has changed since the try before, so this run has no whole: start another")
            self._do.run.log.warning("position_lost", step=self._do.chain.extract, reads="the page from its start")

    def _begin_again(self) -> None:
        """A snapshot that is read to its end is read from its start next time, unless nothing will come any more."""
        if self._complete and self._do.closes:
            self._load.finished = self._load.due = True
        elif self._complete and self._do.source.begins_again() and not self._do.replaces:
            self._load.place, self._load.due = START, True

    def _send(self) -> None:
        load, self._load = self._load, Load()
        batch = Batch(load.records, None, load.origins, load.size, ids=load.ids or None)
        prepared = self._writer.prepare(batch)
        if self._do.chain.repeatable and all(set(map(type, piece.records)) <= {Raw} for piece in load.pieces):
            batch.records = Remade(self._do.chain, load.pieces, len(load.records))
            load.records = []
        self._prepared.put((load, batch, prepared))
        self._pace.sent()

    # --- the committer

    def _commit_all(self) -> None:
        for load, batch, prepared in self._prepared:
            if load.read or load.finished or (load.due and load.place != self._committed):
                self._commit(load, batch, prepared)
        if self._complete:
            self._finish()

    def _finish(self) -> None:
        """The source was read to its end and all of it is durable."""
        do = self._do
        if do.limit is not None:
            if do.replaces:
                do.run.log.warning("not_replaced", reason="a run with a limit has not read everything", limit=do.limit)
            return
        if do.replaces:
            self._tally.judge(at_end=True)  # before it is shown
        if self._stopping.is_set():
            self._complete = not do.replaces
            return
        counters = self._tally.as_json(self._tally.steps)
        do.may_write()
        self._writer.finish(self._checkpoint(self._committed or START, counters))

    def _checkpoint(self, place: Place, counters: Mapping[str, Any]) -> Checkpoint:
        """The one that comes next."""
        do, before = self._do, self._do.checkpoint.target if self._do.checkpoint else None
        return Checkpoint(
            self._version + 1, do.rejects.owner, place.cursor, place.skip, do.fingerprint, counters, place.mark,
            last=place.last, target=before,
        )  # fmt: skip

    def _commit(self, load: Load, batch: Batch, prepared: Any) -> None:
        started = time.perf_counter()
        steps: Mapping[str, Counters] = {}
        refused: list[Reject] = []
        hooked = load.counters.get(self._do.load_key)

        def settle(written: Written) -> Mapping[str, Any]:
            nonlocal steps, refused
            counters = _sink_counters(batch, written, time.perf_counter() - started)
            refused = set_aside(self._refused(batch, load, written), self._do.on_error, counters)
            load.counters[self._do.load_key] = hooked.behind(counters) if hooked else counters
            steps = self._tally.with_load(load.counters)
            self._do.rejects.add(self._version + 1, [*load.rejects, *refused], provisional=self._do.keeps_checkpoint)
            return self._tally.as_json(steps) | ({"finished": True} if load.finished else {})

        self._do.may_write()
        self._writer.commit(prepared, self._checkpoint(load.place, {}), settle)
        self._pace.learn(load.read, time.perf_counter() - started)
        self._version += 1
        self._committed = load.place
        self._tally.keep(steps)
        self._do.rejects.confirm(self._version)
        self._call([*load.rejects, *refused], batch, load)
        self._tally.judge(at_end=False)

    def _call(self, rejects: list[Reject], batch: Batch, load: Load) -> None:
        """The hooks behind a commit."""
        calling = self._do.calling
        if calling is None:
            return
        calling.rejected(rejects)
        bad = {each.position for each in rejects}
        calling.loaded(
            self._do.load_key,
            [decoded(each) for each, place in zip(batch.records, load.positions, strict=True) if place not in bad],
        )

    def _refused(self, batch: Batch, load: Load, written: Written) -> list[Reject]:
        return [self._reject(batch, load, refusal) for refusal in written.refused]

    def _reject(self, batch: Batch, load: Load, refusal: Refusal) -> Reject:
        record, earlier = decoded(batch.records[refusal.index]), self._do.chain.earlier(batch, refusal.index)
        position = load.positions[refusal.index]
        return Reject(position, self._do.load_key, None, refusal.field, refusal.reason, record, earlier)


def _sink_counters(batch: Batch, written: Written, seconds: float) -> Counters:
    return Counters(
        records_in=len(batch.records),
        records_out=written.inserted + written.updated + written.unchanged + written.deleted,
        inserted=written.inserted,
        updated=written.updated,
        unchanged=written.unchanged,
        deleted=written.deleted,
        merged=written.merged,
        filtered=written.filtered,
        made=written.made,
        commits=1,
        seconds=seconds,
    )
