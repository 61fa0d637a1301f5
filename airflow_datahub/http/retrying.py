"""When to ask again, how long to wait before, and when to give up."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from airflow_datahub.errors import QuotaUsedUp, RunFailed


@dataclass(frozen=True, slots=True)
class Policy:
    """Limits on one request; times in seconds."""

    connect: float = 5.0
    total: float = 10.0
    """For one try, from connecting to the last byte: no server can hold us by sending slowly."""
    retries: int = 3
    delay: float = 1.0
    """Before the first retry; it doubles with each, and the wait is drawn between 0 and it (full jitter)."""
    longest_delay: float = 8.0
    obeyed: float = 300.0
    """The longest wait that a server may ask for in place; the task comes back later when it asks for more."""
    patience: float = 900.0
    """All the waits together that a server may ask for, for one request."""
    min_rate: float = 1024.0
    """Bytes a second that a body has to come at, packed."""


class TryAgain(Exception):
    """This try failed in a way that another may not. `asked`: the server said that it is too busy for us now, and
    `wait` how many seconds it wants, if it said so."""

    def __init__(self, reason: str, wait: float | None = None, asked: bool = False):
        super().__init__(reason)
        self.reason = reason
        self.wait = wait
        self.asked = asked or wait is not None


@dataclass
class Patience:
    """What is left of a policy during one request."""

    policy: Policy
    failures: int = 0
    asked: int = 0
    waited: float = 0.0
    started: float = field(default_factory=time.monotonic)

    @property
    def retries(self) -> int:
        """How many tries failed so far."""
        return self.failures + self.asked

    def next_wait(self, cause: TryAgain) -> float:
        """Seconds to wait before the next try. Raises RunFailed once the retries are used up, RetryLater where the
        server wants more time than can be waited in place."""
        return self._as_asked(cause) if cause.asked else self._backoff_or_end(cause)

    def _as_asked(self, cause: TryAgain) -> float:
        self.asked += 1
        wait = cause.wait or self._backoff(self.asked)
        if wait > self.policy.obeyed or self.waited + wait > self.policy.patience:
            raise QuotaUsedUp(f"{cause.reason}; waited {self.waited:.0f} s, {wait:.0f} s more are asked for", wait)
        self.waited += wait
        return wait

    def _backoff_or_end(self, cause: TryAgain) -> float:
        self.failures += 1
        if self.failures > self.policy.retries:
            seconds = time.monotonic() - self.started
            tries = "1 try" if self.retries == 1 else f"{self.retries} tries"
            raise RunFailed(f"{cause.reason}; gave up after {tries} in {seconds:.1f} s")
        return self._backoff(self.failures)

    def _backoff(self, attempt: int) -> float:
        longest = min(self.policy.longest_delay, self.policy.delay * 2.0 ** min(attempt - 1, 30))
        return random.uniform(0, longest)


LONGEST_ASKED = 86_400.0
"""A task comes back later for a day at most, so a longer wait says no more than this."""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that an answer's Retry-After asks for (RFC 9110, 10.2.3: seconds or an HTTP date); None where it says
    nothing that can be understood. A date counts from the answer's own Date: the two clocks may differ."""
    text = headers.get("retry-after", "").strip()
    seconds = _seconds(text)
    if seconds is None and (until := _date(text)):
        seconds = until.timestamp() - _their_time(headers)
    return None if seconds is None else min(max(seconds, 0.0), LONGEST_ASKED)


EPOCH_ABOVE = 1e9
"""A number of seconds above this is a moment since 1970, one above a hundred times this counts milliseconds."""


def seconds_until(text: str, headers: Mapping[str, str]) -> float | None:
    """Seconds to a moment that is told as seconds from now, seconds or milliseconds since 1970, or as a date; None
    where it cannot be understood. Moments count from the answer's own Date."""
    seconds = _seconds(text)
    if seconds is None:
        until = _date(text) or _iso(text)
        seconds = until.timestamp() if until else None
    if seconds is not None and seconds > EPOCH_ABOVE:
        seconds = (seconds / 1000 if seconds > 100 * EPOCH_ABOVE else seconds) - _their_time(headers)
    return None if seconds is None else min(max(seconds, 0.0), LONGEST_ASKED)


def _their_time(headers: Mapping[str, str]) -> float:
    return (_date(headers.get("date", "")) or datetime.now(UTC)).timestamp()


def _iso(text: str) -> datetime | None:
    try:
        date = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _seconds(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
