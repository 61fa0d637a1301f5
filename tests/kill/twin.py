"""Deliberately broken sinks: one makes the checkpoint durable before the rows, so that a kill between the two loses
rows; one empties the table before the swap."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from airflow_datahub.adapters.sinks.postgres import Postgres
from airflow_datahub.contract import Checkpoint, Run, Settle, Stream, Writer, Written

GAP = 0.2
"""Seconds between checkpoint and rows, so that few kills are needed to fall in between."""


class CheckpointFirst(Postgres):
    """PostgreSQL, wrong."""

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
