"""Paging by cursor: each answer names the cursor of the next one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from airflow_datahub.contract import Cursor
from airflow_datahub.errors import ConfigurationError, StopRun
from airflow_datahub.http.paging.loops import Seen, Watch
from airflow_datahub.http.paging.walking import Fetched, Name, Site, Sized, Step, Walk, not_a_position
from airflow_datahub.paths import FieldPath


class CursorPaging(Sized):
    """Each answer names the cursor of the next one."""

    type: Literal["cursor"]

    param: Name = "cursor"
    """The query parameter that carries the cursor."""

    next: FieldPath
    """Where the answer has the next cursor; the last page has none, null or an empty text there."""

    more: FieldPath | None = None
    """Where the answer says whether there are more pages (true or false)."""

    perishable: ClassVar[bool] = True

    @property
    def paths(self) -> list[str]:
        return [self.next] if self.more is None else [self.next, self.more]

    @property
    def params(self) -> set[str]:
        return super().params | {self.param}

    def walk(self, start: Cursor | None, site: Site) -> Walk:
        if start is not None and not _is_cursor(start):
            raise not_a_position(start, "a cursor")
        return _CursorWalk(self, start, site)


class _CursorWalk(Walk):
    def __init__(self, paging: CursorPaging, start: Cursor | None, site: Site):
        self._paging = paging
        self._log = site.log
        self._seen = Seen(start)
        self._watch = Watch()
        self._first = True

    def query(self, position: Cursor | None) -> Mapping[str, Any]:
        return self._paging.sized({} if position is None else {self._paging.param: position})

    def step(self, position: Cursor | None, fetched: Fetched) -> Step:
        page, param = fetched.page, self._paging.param
        following, more = self._read(fetched)
        self._first = False
        if following is not None and more is not False and self._seen.again(following):
            raise StopRun(
                f"{page.shown}: looping cursor: paging.next {self._paging.next!r} is {str(following)[:80]!r}, which "
                f"this read has asked for before; does the API take the cursor in the parameter {param!r}?"
            )
        self._watch.look(page, f"does the API take the cursor in the parameter {param!r}")
        if following is None or more is False:
            return Step(None, False)
        self._watch.go_on(page)
        return Step(following, True)

    def _read(self, fetched: Fetched) -> tuple[Cursor | None, bool | None]:
        """The next cursor, if any, and what the answer says about more."""
        page = fetched.page
        following, more = (*page.values, None)[:2]
        if more is not None and not isinstance(more, bool):
            raise ConfigurationError(
                f"{page.shown}: paging.more {self._paging.more!r} is {str(more)[:80]!r}, not true or false"
            )
        if following is None or following == "":
            if more:
                where = page.whereabouts(self._paging.next) or "it is null or empty"
                raise ConfigurationError(
                    f"{page.shown}: {self._paging.more!r} says that there are more pages, but paging.next "
                    f"{self._paging.next!r} has no cursor: {where}"
                )
            self._doubt_the_end(fetched, more)
            return None, more
        if not _is_cursor(following):
            raise ConfigurationError(
                f"{page.shown}: paging.next {self._paging.next!r} is {str(following)[:80]!r}, a cursor is text or "
                "a whole number"
            )
        return following, more

    def _doubt_the_end(self, fetched: Fetched, more: bool | None) -> None:
        """A full first page without anything at the path of the next cursor: the path may be misspelt."""
        page, paging = fetched.page, self._paging
        first_and_full = self._first and len(page.origins) == paging.limit
        if more is None and first_and_full and (where := page.whereabouts(paging.next)):
            self._log.warning("next_cursor_missing", field="paging.next", path=paging.next, answer=where)


def _is_cursor(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)
