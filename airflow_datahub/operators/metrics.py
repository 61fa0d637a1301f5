"""What a task counts, told to Airflow's own metrics as `datahub.*`, tagged with pipeline and step and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.sdk.observability import stats

from airflow_datahub.contract import Counted, Log


class Meter:
    """Counts along with one try of a stage, and sums up. Metrics that cannot be sent never end a task."""

    def __init__(self, pipeline: str, log: Log):
        self._pipeline, self._log, self._failed = pipeline, log, False
        self.totals: dict[str, dict[str, float]] = {}
        """By step, by counter: of this try."""

    def add(self, counted: Counted) -> None:
        """What was counted since the last call."""
        for step, counts in counted.items():
            total = self.totals.setdefault(step, {})
            for name, value in counts.items():
                total[name] = total.get(name, 0) + value
            self._send(step, {name: int(value) for name, value in counts.items() if name != "seconds" and value > 0})

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Tell, at the end of what is inside, how the try ended: `success`, or the name of the error's class."""
        outcome = "success"
        try:
            yield
        except BaseException as error:
            outcome = type(error).__name__
            raise
        finally:
            self._end(outcome)

    def _end(self, outcome: str) -> None:
        try:
            stats.incr("datahub.tries", tags={"pipeline": self._pipeline, "outcome": outcome})
            for step, total in self.totals.items():
                tags = {"pipeline": self._pipeline, "step": step}
                stats.timing("datahub.seconds", total["seconds"] * 1000, tags=tags)
        except Exception as error:
            self._complain(error)

    def _send(self, step: str, counts: dict[str, int]) -> None:
        try:
            for name, value in counts.items():
                stats.incr(f"datahub.{name}", value, tags={"pipeline": self._pipeline, "step": step})
        except Exception as error:
            self._complain(error)

    def _complain(self, error: Exception) -> None:
        if not self._failed:
            self._log.warning("metrics_not_sent", reason=f"{type(error).__name__}: {error}")
        self._failed = True
