"""Tells how a run goes: a line every few seconds, the ledger, the last line."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from airflow_datahub.contract import Log, Run
from airflow_datahub.engine.tally import Tally
from airflow_datahub.environment import progress_interval
from airflow_datahub.errors import RunError
from airflow_datahub.state import Counters
from airflow_datahub.state.store import Store
from airflow_datahub.state.table import table


@contextmanager
def logging_instead(log: Log) -> Iterator[None]:
    """Errors of the store become a warning, where more depends on going on."""
    try:
        yield
    except RunError as error:
        log.warning("ledger_not_written", reason=str(error))


class Progress:
    """Watches a tally; `watch` costs nothing until a line is due."""

    def __init__(self, run: Run, tally: Tally, store: Store):
        self._run, self._tally, self._store, self._log = run, tally, store, run.log
        self._told = tally.shown
        self._every = progress_interval()
        self._started = self._last = time.monotonic()
        self.before = tally.read
        """Records that earlier tries of the run read."""
        self._logged = self.before

    @property
    def seconds(self) -> float:
        """Since the start of this try."""
        return time.monotonic() - self._started

    def watch(self, total: int | None) -> bool:
        """Write a line and the ledger when they are due; whether they were."""
        now = time.monotonic()
        if now - self._last < self._every:
            return False
        read = self._tally.read
        rate = (read - self._logged) / (now - self._last)
        fields = {"records": read, "records_per_second": round(rate)} | _share(read, total, rate)
        retries = sum(counts.retries for counts in self._tally.steps.values())
        self._log.info("progress", **fields, rejected=self._tally.rejected, retries=retries)
        self._last, self._logged = now, read
        self.save()
        return True

    def save(self) -> None:
        """Bring the ledger up to date, and tell who counts along; a load does not fail because its ledger cannot be
        written."""
        with logging_instead(self._log):
            self._store.save_steps(
                self._run.pipeline, self._run.run_id, self._tally.shown, self._tally.places,
                partition=self._run.partition.key if self._run.partition else "",
            )  # fmt: skip
        now, before = self._tally.shown, self._told
        self._run.on_count({key: _gained(counts, before[key]) for key, counts in now.items()})
        self._told = now

    def table(self) -> Iterator[str]:
        """What the run has counted, over all its tries, a line a step."""
        return table({key: asdict(counts) for key, counts in self._tally.shown.items()})

    def summary(self, how: str) -> str:
        """`ingestion complete: 200,000 records in 2.41 s (82,988/s), 3 rejected`; counts and rate of this try."""
        records, seconds = self._tally.read - self.before, max(self.seconds, 1e-3)
        text = f"ingestion {how}: {records:,} records in {seconds:.2f} s ({records / seconds:,.0f}/s)"
        return f"{text}, {self._tally.rejected:,} rejected"


def _gained(now: Counters, before: Counters) -> dict[str, float]:
    return {name: value - getattr(before, name) for name, value in asdict(now).items()}


def _share(read: int, total: int | None, rate: float) -> dict[str, object]:
    if not total:
        return {}
    eta = {"eta_seconds": round((total - read) / rate)} if rate and total > read else {}
    return {"percent": round(min(100 * read / total, 100), 1), **eta}
