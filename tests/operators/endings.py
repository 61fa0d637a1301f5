"""A source that ends in the way that a spec asks for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Literal

from pydantic import SecretStr

from airflow_datahub.contract import Batch, Cursor, Run, Sink, Source, Templated
from airflow_datahub.errors import ConfigurationError, RetryLater, RunFailed, StopRun


class Endings(Source):
    how: Literal["well", "configuration", "stop", "later", "failed", "surprise", "never"]
    """What happens after the first batch."""

    delay: float = 60.0
    """Seconds that `later` asks for."""

    note: Templated[str | None] = None
    """What a template makes of it comes out as a record."""

    def read(self, run: Run, cursor: Cursor | None) -> Iterator[Batch]:
        seen = {"id": 1, "note": self.note, "trigger": run.trigger, "started": run.started.isoformat()}
        yield Batch([seen], cursor=1)
        while self.how == "never":
            time.sleep(0.01)
            yield Batch([{"id": 2}], cursor=2)
        errors = {
            "configuration": ConfigurationError("the table is missing"),
            "stop": StopRun("that is enough"),
            "later": RetryLater("come back later", self.delay),
            "failed": RunFailed("the server is away"),
            "surprise": ZeroDivisionError("by zero"),
        }
        if self.how in errors:
            raise errors[self.how]


class Hides(Sink):
    """A sink with a field that no spec may fill."""

    token: SecretStr
    """What a connection should hold."""
