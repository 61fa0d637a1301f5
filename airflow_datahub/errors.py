"""Every error this package raises on purpose; its class says what to do next.

* DatahubError
  + SpecError            the YAML is wrong; carries every problem with file, line and column
  + RunError             something went wrong while records moved
    - ConfigurationError credentials, rights, a missing table or extra: a person must act, no retry helps
    - StopRun            a budget or limit says stop: no retry
    - RetryLater         the other side asked us to wait; carries the delay in seconds
      . QuotaUsedUp      an API's quota is used up
    - RunFailed          anything that the task's own retries may cure (network, database, server)
    - Interrupted        a stop was asked for; what is committed stays
  + RejectRecord         this record is bad, the run goes on
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class DatahubError(Exception):
    """Base of all errors of this package."""


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake in a spec; line and column count from 1."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class SpecError(DatahubError):
    """The YAML says something this package cannot do.

    Its text is a title line and then one bare line a problem, so that the end of a traceback shows them as they are.
    """

    def __init__(self, problems: Sequence[Problem]):
        self.problems = tuple(sorted(problems))
        count = f"{len(self.problems)} problem" + ("s" if len(self.problems) != 1 else "")
        where = self.problems[0].file if self.problems else "the spec"
        super().__init__("\n".join([f"{count} in {where}", *map(str, self.problems)]))


class RunError(DatahubError):
    """Something went wrong while records moved. The engine adds pipeline and step."""

    step: str | None = None
    """The step, where the place that raises knows better than the engine."""


class ConfigurationError(RunError):
    """A person must act: credentials, rights, a missing table, column or extra. Never retried."""


class StopRun(RunError):
    """A budget or limit says stop. Never retried."""


class RetryLater(RunError):
    """The other side asked us to wait, or cannot serve us now; no try is used up."""

    def __init__(self, message: str, delay: float):
        super().__init__(message)
        self.delay = delay
        """Seconds to wait before the next try."""


class QuotaUsedUp(RetryLater):
    """The API wants a longer pause than can be waited for in place."""


class RunFailed(RunError):
    """A failure that a later try may not meet again: network, server, database."""


class Interrupted(RunError):
    """A stop was asked for: what is complete is committed, the next run goes on from there."""


class RejectRecord(DatahubError):
    """This record is bad; it is set aside with this reason and the run goes on."""

    def __init__(self, reason: str, field: str | None = None):
        super().__init__(reason)
        self.reason = reason
        self.field = field
