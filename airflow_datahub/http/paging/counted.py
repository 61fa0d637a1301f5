"""Paging by numbers: the records before a page, or the pages before it. Their addresses are known in advance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from airflow_datahub.contract import Cursor
from airflow_datahub.http.paging.loops import Watch
from airflow_datahub.http.paging.walking import (
    Fetched,
    Name,
    Site,
    Sized,
    Step,
    Walk,
    count_at,
    is_count,
    not_a_position,
)
from airflow_datahub.paths import FieldPath


class OffsetPaging(Sized):
    """Each page is asked for by the number of records before it."""

    type: Literal["offset"]

    param: Name = "offset"
    """The query parameter that carries the offset."""

    total: FieldPath | None = None
    """Where the answer has the number of all records. Without it a page smaller than the first, an empty one, or
    a 404 in its place with nothing behind it, is the end."""

    @property
    def paths(self) -> list[str]:
        return [] if self.total is None else [self.total]

    @property
    def params(self) -> set[str]:
        return super().params | {self.param}

    def walk(self, start: Cursor | None, site: Site) -> Walk:
        if start is not None and not is_count(start):
            raise not_a_position(start, "an offset")
        return _OffsetWalk(self, site)


class PagePaging(Sized):
    """Each page is asked for by its number."""

    type: Literal["page"]

    param: Name = "page"
    """The query parameter that carries the number."""

    start: Literal[0, 1] = 1
    """The number of the first page."""

    pages: FieldPath | None = None
    """Where the answer has the number of all pages. Without it a page smaller than the first, an empty one, or a 404 in
    its place with nothing behind it, is the end."""

    @property
    def paths(self) -> list[str]:
        return [] if self.pages is None else [self.pages]

    @property
    def params(self) -> set[str]:
        return super().params | {self.param}

    def walk(self, start: Cursor | None, site: Site) -> Walk:
        if start is not None and not (is_count(start) and start >= self.start):
            raise not_a_position(start, "the number of a page")
        return _PageWalk(self, site)


class _Counting(Walk):
    """Knows how large full pages are, and how many there have been."""

    def __init__(self, param: str, site: Site):
        self._param = param
        self._log = site.log
        self._watch = Watch()
        self._full = self._read = self._before = 0
        self._end: int | None = None
        """The first position that is known to be behind the end."""

    def measure(self, first: Fetched) -> None:
        self._full = max(self._full, len(first.page.origins))

    def _look(self, fetched: Fetched, end: int | None) -> bool:
        """Whether the page may be the last. An API may give less than the limit asks for: only a page smaller than its
        own others is."""
        self._watch.look(fetched.page, f"does the API know the parameter {self._param!r}")
        count = len(fetched.page.origins)
        self._end, self._read, self._before = end, self._read + 1, count
        self._full = max(self._full, count)
        return count < self._full or not count

    def _early(self, fetched: Fetched, said: int) -> None:
        """The API has said that there is more, and gives nothing: what is left is asked for in the next run."""
        self._log.warning("page_is_empty", request=fetched.page.shown, promised=said)

    def _spread(self, first: int, step: int) -> Iterable[int]:
        """Where no end is known, as many as there have been full ones: the first page behind the end is no waste."""
        return range(first, first + self._read * step if self._end is None else self._end, step)


class _OffsetWalk(_Counting):
    def __init__(self, paging: OffsetPaging, site: Site):
        super().__init__(paging.param, site)
        self._paging = paging

    def query(self, position: Cursor | None) -> Mapping[str, Any]:
        return self._paging.sized({self._paging.param: position or 0})

    def step(self, position: Cursor | None, fetched: Fetched) -> Step:
        told = count_at(fetched.page, 0, "paging.total", self._paging.total)
        total = self._end if told is None else told
        last, count = self._look(fetched, total), len(fetched.page.origins)
        behind = (position or 0) + count
        if total is None:
            return Step(behind, not last)
        if not count and behind < total:
            self._early(fetched, total)
        return Step(behind, count > 0 and behind < total, total)

    def may_be_missing(self, position: Cursor | None) -> bool:
        return self._paging.total is None and bool(position)

    def ahead(self, position: Cursor) -> Iterable[Cursor]:
        return self._spread(position + self._full, self._full) if self._full else ()


class _PageWalk(_Counting):
    def __init__(self, paging: PagePaging, site: Site):
        super().__init__(paging.param, site)
        self._paging = paging
        self._sizes = {paging.limit}
        """Of pages that are full."""

    def query(self, position: Cursor | None) -> Mapping[str, Any]:
        return self._paging.sized({self._paging.param: self._number(position)})

    def step(self, position: Cursor | None, fetched: Fetched) -> Step:
        pages = count_at(fetched.page, 0, "paging.pages", self._paging.pages)
        end = self._end if pages is None else pages + self._paging.start
        if fetched.page.origins:
            self._sizes.add(self._before)
        last = self._look(fetched, end)
        following = self._number(position) + 1
        if end is None:
            full = len(fetched.page.origins) in self._sizes
            return Step(None, False) if last else Step(following, True, proven=full)
        if following >= end:
            return Step(None, False)
        self._watch.go_on(fetched.page)
        return Step(following, True)

    def may_be_missing(self, position: Cursor | None) -> bool:
        return self._paging.pages is None and self._number(position) > self._paging.start

    def ahead(self, position: Cursor) -> Iterable[Cursor]:
        return self._spread(position + 1, 1)

    def _number(self, position: Cursor | None) -> int:
        return self._paging.start if position is None else int(position)
