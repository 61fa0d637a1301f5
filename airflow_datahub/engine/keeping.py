"""A run's log on its way to two places: the console or task that shows it, and the store that keeps it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

from airflow_datahub.contract import Log
from airflow_datahub.engine.progress import logging_instead
from airflow_datahub.state.logs import Level, LogLine, Logs

MOST = 1000
"""Lines that are kept between two writings; a run says more only when something is badly wrong with it."""


class KeptLog:
    """Passes every event on, and remembers those of level info and above until `flush`. For any thread: an event never
    waits for the store."""

    def __init__(self, log: Log, logs: Logs, pipeline: str, run_id: str):
        self._log, self._logs, self._pipeline, self._run_id = log, logs, pipeline, run_id
        self._lines: list[LogLine] = []
        self._lost = 0
        self._lock = threading.Lock()

    def debug(self, event: str, **fields: Any) -> None:
        """Detail; it is not kept."""
        self._log.debug(event, **fields)

    def info(self, event: str, **fields: Any) -> None:
        """What happens."""
        self._log.info(event, **fields)
        self.keep("info", event, **fields)

    def warning(self, event: str, **fields: Any) -> None:
        """What somebody should look at."""
        self._log.warning(event, **fields)
        self.keep("warning", event, **fields)

    def error(self, event: str, **fields: Any) -> None:
        """What went wrong."""
        self._log.error(event, **fields)
        self.keep("error", event, **fields)

    def keep(self, level: Level, event: str, **fields: Any) -> None:
        """Remember an event that somebody else shows."""
        with self._lock:
            if len(self._lines) < MOST:
                self._lines.append(LogLine(datetime.now(UTC), level, event, fields))
            else:
                self._lost += 1

    def flush(self, *, last: bool = False) -> None:
        """Write what is remembered; a run does not fail because its log cannot be written. `last`: old lines go."""
        with self._lock:
            lines, lost, self._lines, self._lost = self._lines, self._lost, [], 0
        if lost:
            lines.append(LogLine(datetime.now(UTC), "warning", "log_lines_not_kept", {"lines": lost}))
        if lines or last:
            with logging_instead(self._log):
                self._logs.add(self._pipeline, self._run_id, lines, prune=last)
