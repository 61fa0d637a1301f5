"""Notice an API that goes in circles, with little memory however long the read is."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_datahub.contract import Cursor, Unreadable
from airflow_datahub.errors import StopRun

if TYPE_CHECKING:
    from airflow_datahub.http.page import Page

REMEMBERED = 50_000
"""Positions that are remembered one by one: about 6 MB."""
EMPTY_PAGES = 10
"""So many empty pages in a row, each with a next one, are passed over; more look like an API that goes in circles."""
SAME_RECORDS = 10
"""Pages of equal records that are believed in a row where all records in them are equal, too."""
SAMPLE = 16
"""Records of a page that are compared with those of the page before."""


class Seen:
    """Positions asked for. A circle among the last 50,000 is noticed at once, a longer one the second time round."""

    def __init__(self, *start: Cursor | None):
        self._known = set(map(_hash, start))
        self._order = deque(self._known)
        self._hare = 0
        self._tortoise = b""
        self._waits_until = REMEMBERED

    def again(self, position: Cursor) -> bool:
        """Whether it was asked for before; it counts as asked for from now on."""
        digest = _hash(position)
        if digest in self._known or digest == self._tortoise:
            return True
        self._known.add(digest)
        self._order.append(digest)
        if len(self._order) > REMEMBERED:
            self._known.discard(self._order.popleft())
        self._hare += 1
        if self._hare == self._waits_until:  # Brent: a circle of any length comes by the one that is kept
            self._tortoise, self._waits_until = digest, 2 * self._waits_until
        return False


class Watch:
    """Looks at the pages of a read as they come."""

    def __init__(self) -> None:
        self._empty = 0
        self._sample: list[bytes] = []
        """Hashes: records may be large."""
        self._count = self._same = 0

    def look(self, page: Page, how: str) -> None:
        """Raise StopRun for the records of the page before, once more; `how` says how this page was asked for."""
        sample = _sample(page.origins)
        same = bool(sample) and len(page.origins) == self._count and sample == self._sample
        self._same = self._same + 1 if same else 0
        self._count, self._sample = len(page.origins), sample
        if self._same > (0 if len(set(sample)) > 1 else SAME_RECORDS):
            raise StopRun(f"{page.shown}: the records are those of the page before; {how}?")

    def go_on(self, page: Page) -> None:
        """Raise StopRun where nothing but empty pages come, though each names a next one."""
        self._empty = 0 if page.origins else self._empty + 1
        if self._empty > EMPTY_PAGES:
            raise StopRun(
                f"{page.shown}: {self._empty} empty pages in a row, each with a next cursor; is the API in order?"
            )


def _sample(origins: Sequence[Any]) -> list[bytes]:
    last = len(origins) - 1
    chosen = origins if last < SAMPLE else [origins[index * last // (SAMPLE - 1)] for index in range(SAMPLE)]
    return [_hash(each) if isinstance(each, Unreadable) else _digest(each) for each in chosen]


def _hash(value: object) -> bytes:
    return _digest(repr(value).encode("utf-8", "backslashreplace"))


def _digest(data: Any) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
