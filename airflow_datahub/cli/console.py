"""The log of a command: one line an event, on standard error, so that standard output stays the sink's."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from airflow_datahub.errors import ConfigurationError

LEVELS = ("debug", "info", "warning", "error")
LONGEST = 2048
"""Characters of one value: foreign text is cut there."""


class UnknownLevel(ConfigurationError):
    """The environment names a level that there is not."""


class Console:
    """Lines as `12:30:01 progress records=1000`; one without fields stands bare. `LOG_LEVEL` acts."""

    def __init__(self, level: str | None = None):
        name = level or os.environ.get("LOG_LEVEL") or "info"
        if name.lower() not in LEVELS:
            raise UnknownLevel(f"LOG_LEVEL {name[:80]!r} is not one of {', '.join(LEVELS)}")
        self._least = LEVELS.index(name.lower())

    def debug(self, event: str, **fields: Any) -> None:
        """Detail."""
        self._say(0, event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """What happens."""
        self._say(1, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """What somebody should look at."""
        self._say(2, event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """What went wrong."""
        self._say(3, event, fields)

    def _say(self, level: int, event: str, fields: dict[str, Any]) -> None:
        if level < self._least:
            return
        when = f"{datetime.now():%H:%M:%S} " if fields or level != 1 else ""
        print(f"{when}{line(LEVELS[level], event, fields)}", file=sys.stderr, flush=True)


def line(level: str, event: str, fields: Mapping[str, Any]) -> str:
    """An event as a person reads it: `warning: position_lost step=extract`."""
    text = " ".join([event, *(f"{name}={_shown(value)}" for name, value in fields.items())])
    return text if LEVELS.index(level) < 2 else f"{level}: {text}"


def _shown(value: Any) -> str:
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    text = text if text.isprintable() else repr(text)
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"
