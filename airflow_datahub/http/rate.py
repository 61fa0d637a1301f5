"""How fast an API may be asked: learnt from its answers and kept by all requests of a connection in the process.

The first half of a window's quota may be used as fast as we can; what is left then is spread evenly over the time to
the window's end, so that the quota lasts and no refusal is provoked. A quota whose window ends later than can be waited
for is used up as fast as we can: the task comes back once there is a new one. Whatever is learnt, what the connection
itself allows is never exceeded.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from airflow_datahub.errors import QuotaUsedUp
from airflow_datahub.http.retrying import LONGEST_ASKED, Policy, seconds_until


@dataclass(frozen=True, slots=True)
class Quota:
    """What an answer says about the requests that are still allowed."""

    left: int
    seconds: float
    """Until there are more again."""
    limit: int | None = None
    """Of a whole window."""

    @property
    def pause(self) -> float:
        """Seconds to the next request."""
        if not self.left:
            return self.seconds
        plenty = self.limit is not None and self.left * 2 > self.limit
        return 0.0 if plenty else self.seconds / self.left


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a connection allows, whatever else is asked for or learnt."""

    per_second: float | None = None
    """Requests over any longer time; None: as many as there are."""
    burst: int = 1
    """Requests at once after a rest."""
    concurrency: int | None = None
    """Requests of one client under way at once."""


class Ceiling:
    """Holds requests to an allowance."""

    def __init__(self, allowed: Allowance):
        self._interval = 1 / allowed.per_second if allowed.per_second else 0.0
        self._ahead = self._interval * (allowed.burst - 1)
        self._due = 0.0
        """When the next one would go out at an even pace (GCRA); it may be `_ahead` of that."""

    @property
    def next(self) -> float:
        """The moment from which on a request may go out."""
        return self._due - self._ahead

    def take(self, at: float) -> None:
        """One goes out at that moment."""
        self._due = max(self._due, at) + self._interval


class Rate:
    """Says when the next request may go out; any thread may use it. It begins at `per_second`, where given."""

    def __init__(
        self,
        per_second: float | None = None,
        longest: float = Policy().obeyed,
        clock: Callable[[], float] = time.monotonic,
        allowed: Allowance = Allowance(),
    ):
        """`longest`: the seconds that are waited in place for what the server asks for."""
        self._ceiling = Ceiling(allowed)
        self._longest = longest
        self._clock = clock
        self._lock = threading.Lock()
        self._pause = 1 / per_second if per_second else 0.0
        self._next = 0.0
        self._largest = 0

    def reserve(self) -> float:
        """Seconds to wait before a request that may then go out. Raises QuotaUsedUp, and reserves nothing, where the
        server wants more than can be waited for."""
        with self._lock:
            now = self._clock()
            learnt = max(now, self._next)
            if (wait := learnt - now) > self._longest:
                raise QuotaUsedUp(f"the API's quota is used up for {wait:.0f} s more", wait)
            self._next = learnt + self._pause
            at = max(learnt, self._ceiling.next)
            self._ceiling.take(at)
            return at - now

    def rest(self, seconds: float) -> None:
        """Let nothing go out for a while: the server asked for it."""
        with self._lock:
            self._next = max(self._next, self._clock() + seconds)

    def learn(self, headers: Mapping[str, str]) -> None:
        """Take over what an answer says, if it says anything."""
        quota = tightest(headers)
        if quota is None:
            return
        with self._lock:
            self._largest = max(self._largest, quota.limit or quota.left)
            spread = not quota.left or quota.seconds <= self._longest
            pause = Quota(quota.left, quota.seconds, self._largest).pause if spread else 0.0
            self._pause = pause if quota.left else 0.0
            if pause:
                self._next = max(self._next, self._clock() + pause)


def tightest(headers: Mapping[str, str]) -> Quota | None:
    """The quota that allows least, in any of the forms in use; None where the headers tell of none."""
    if not any("rate" in name for name in headers):
        return None
    return min(
        _quotas(headers), key=lambda quota: (quota.left / max(quota.seconds, 0.001), -quota.seconds), default=None
    )


def _quotas(headers: Mapping[str, str]) -> Iterator[Quota]:
    for prefix in ("x-ratelimit-", "x-rate-limit-", "ratelimit-"):
        left, until = _whole(headers.get(prefix + "remaining", "")), headers.get(prefix + "reset", "")
        seconds = seconds_until(until, headers)
        if left is not None and seconds is not None:
            yield Quota(left, seconds, _whole(headers.get(prefix + "limit", "")))
    yield from _of_the_draft(headers)


def _of_the_draft(headers: Mapping[str, str]) -> Iterator[Quota]:
    """`RateLimit: "day";r=50;t=30` beside `RateLimit-Policy: "day";q=100;w=60`, or, in drafts before the eighth,
    `RateLimit: limit=100, remaining=50, reset=30` (draft-ietf-httpapi-ratelimit-headers)."""
    text = headers.get("ratelimit", "")
    old = _parameters(text, ",")
    if "remaining" in old:
        text = f'"";r={old["remaining"]};t={old.get("reset", "")}'
        limits = {"": _whole(old.get("limit", ""))}
    else:
        policies = headers.get("ratelimit-policy", "").split(",")
        limits = {_name(policy): _whole(_parameters(policy).get("q", "")) for policy in policies}
    for item in text.split(","):
        given = _parameters(item)
        left, seconds = _whole(given.get("r", "")), _whole(given.get("t", ""))
        if left is not None and seconds is not None:
            yield Quota(left, min(float(seconds), LONGEST_ASKED), limits.get(_name(item)))


def _name(item: str) -> str:
    return item.partition(";")[0].strip().strip('"')


def _parameters(text: str, separator: str = ";") -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(separator))
    return {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}


_NUMBER = re.compile(r"\s*(\d{1,18})(?:\.\d+)?\s*(?:[,;].*)?", re.ASCII)


def _whole(text: str) -> int | None:
    """A number that may be followed by more, as in `100, 100;w=60`."""
    found = _NUMBER.fullmatch(text)
    return int(found[1]) if found else None
