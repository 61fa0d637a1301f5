"""Read records from a JSON API over HTTP, page by page, and go on where the last run ended.

The connection is an Airflow connection of type `http`: the address in its host, the secret in its password, and in its
extra `{"auth": "api_key", "header": "X-API-Key"}` (or `"param": "key"`), `{"auth": "bearer"}`, `{"auth": "basic"}` or
`{"auth": "none"}`; `"allow_private": true` for an API inside the own network; `timeout`, `retries`, `retry_delay` and
`base_path` where they differ from 10 s, 3, 1 s and none.

Example:
    adapter: http_api
    config:
      connection: datasync
      path: /events
      query: {since: "{{ params.since }}"}
      records: data
      paging: {type: cursor, param: cursor, next: nextCursor, more: hasMore, limit: 1000}
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveInt, ValidationInfo, field_validator
from pydantic.json_schema import SkipJsonSchema

from airflow_datahub.contract import Batch, Cursor, Log, Run, Silence, Source, Templated
from airflow_datahub.errors import ConfigurationError, StopRun
from airflow_datahub.paths import FieldPath, parse

if TYPE_CHECKING:
    from airflow_datahub.http.client import Answer, Client
    from airflow_datahub.http.page import Page, PageReader

Name = Annotated[str, Field(min_length=1)]
Plain = str | bool | int | float | datetime | date | None
Value = Plain | list[Plain]

EMPTY_PAGES = 10
"""So many empty pages in a row, each with a next one, are passed over; more look like an API that goes in circles."""

STALE = frozenset({400, 404, 410, 422})
"""With what APIs answer a cursor that they no longer know."""


class Walk(Protocol):
    """Goes from page to page in one read."""

    def query(self, position: Cursor | None) -> dict[str, Any]:
        """What asks for the page at this position."""

    def step(self, position: Cursor | None, page: Page) -> tuple[Cursor | None, bool]:
        """The position behind the page (None: it has none), and whether to go on there. Raises RunError."""


class _Paging(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @property
    def paths(self) -> list[str]:
        """Where an answer says how to go on."""
        return []


class NoPaging(_Paging):
    """The answer is all there is."""

    type: Literal["none"] = "none"

    def walk(self, start: Cursor | None, log: Log) -> Walk:
        """The one page."""
        return _OnePage()


class CursorPaging(_Paging):
    """Each answer names the cursor of the next one."""

    type: Literal["cursor"]

    param: Name = "cursor"
    """The query parameter that carries the cursor."""

    next: FieldPath
    """Where the answer has the next cursor; the last page has none, null or an empty text there."""

    more: FieldPath | None = None
    """Where the answer says whether there are more pages (true or false)."""

    limit: PositiveInt | None = 1000
    """Records to ask for in a page; null leaves it to the API."""

    limit_param: Name = "limit"
    """The query parameter that carries the limit."""

    @property
    def paths(self) -> list[str]:
        return [self.next] if self.more is None else [self.next, self.more]

    def walk(self, start: Cursor | None, log: Log) -> Walk:
        """From cursor to cursor."""
        return _CursorWalk(self, start, log)


class OffsetPaging(_Paging):
    """Each page is asked for by the number of records before it."""

    type: Literal["offset"]

    param: Name = "offset"
    """The query parameter that carries the offset."""

    total: FieldPath | None = None
    """Where the answer has the number of all records. Without it a page smaller than the first, or an empty one, is
    the end."""

    limit: PositiveInt | None = 1000
    """Records to ask for in a page; null leaves it to the API."""

    limit_param: Name = "limit"
    """The query parameter that carries the limit."""

    @property
    def paths(self) -> list[str]:
        return [] if self.total is None else [self.total]

    def walk(self, start: Cursor | None, log: Log) -> Walk:
        """From offset to offset."""
        return _OffsetWalk(self, start)


Paging = NoPaging | CursorPaging | OffsetPaging
LATER_PAGING = ("page", "link_header", "next_url")


def _not_yet(value: object) -> None:
    if value is not None:
        raise ValueError("this field is not yet supported; leave it out")


Later = Annotated[SkipJsonSchema[None], BeforeValidator(_not_yet), Field(default=None, exclude=True, repr=False)]
"""A field of the grammar that this version refuses by name; no schema lists it."""


class HttpApi(Source):
    identity: ClassVar[tuple[str, ...]] = (
        "connection", "path", "query", "records", "paging.type", "paging.param", "paging.next",
    )  # fmt: skip

    connection: Name
    """Airflow connection of type http."""

    path: Templated[str]
    """Path of the list, behind the address of the connection."""

    query: Templated[dict[str, Value]] = Field(default_factory=dict)
    """Query parameters; null values are left out, a list repeats its parameter."""

    records: str = ""
    """Path of the list of records in the answer; empty when the answer is the list."""

    paging: Annotated[Paging, Field(discriminator="type")] = NoPaging()
    """How to go from page to page: `none`, `cursor` or `offset`."""

    mark: Later
    """Not yet supported."""
    rate_limit: Later
    """Not yet supported."""
    cursor_ttl: Later
    """Not yet supported."""
    on_quota: Later
    """Not yet supported."""

    @field_validator("records")
    @classmethod
    def _a_path(cls, records: str) -> str:
        parse(records)
        return records

    @field_validator("path")
    @classmethod
    def _inside_the_connection(cls, path: str) -> str:
        if "://" in path.partition("?")[0] or path.startswith("//"):
            raise ValueError("put scheme and host into the connection; `path` is what follows them, as in /events")
        return path

    @field_validator("paging", mode="before")
    @classmethod
    def _known_paging(cls, paging: object) -> object:
        kind = paging.get("type") if isinstance(paging, dict) else None
        if kind in LATER_PAGING:
            raise ValueError(f"paging type {kind!r} is not yet supported; none, cursor and offset are")
        return paging

    @field_validator("paging")
    @classmethod
    def _fitting_paging(cls, paging: Paging, info: ValidationInfo) -> Paging:
        sent = paging.walk(None, Silence()).query(0)
        if both := sorted(set(sent) & set(info.data.get("query", ()))):
            raise ValueError(f"`query` sets {both[0]!r}, which the paging sets itself")
        if paging.paths and info.data.get("records") == "":
            raise ValueError(f"{paging.paths[0]!r} has no place in an answer that is the list; name it with `records`")
        return paging

    def begins_again(self) -> bool:
        return isinstance(self.paging, NoPaging)

    def notes(self) -> list[str]:
        if isinstance(self.paging, OffsetPaging):
            return ["offset paging misses or repeats records where rows are added or removed in front while it reads"]
        return []

    async def read(self, run: Run, cursor: Cursor | None) -> AsyncIterator[Batch]:
        """One batch a page; the next page is asked for before a batch is handed over."""
        # here, because asyncio and httpx take longer to import than a spec may take to check
        import asyncio

        from airflow_datahub.http.client import Client
        from airflow_datahub.http.page import PageReader
        from airflow_datahub.http.stopping import abandon

        reader, walk = PageReader(self.records, self.paging.paths), self.paging.walk(cursor, run.log)
        async with Client(self.connection, run) as client:
            fetched = asyncio.ensure_future(self._fetch(client, reader, walk, cursor))
            try:
                more = True
                while more:
                    page, retries = await fetched
                    behind, more = walk.step(cursor, page)
                    if more:
                        fetched, cursor = asyncio.ensure_future(self._fetch(client, reader, walk, behind)), behind
                        await _turns()
                    total = page.values[0] if isinstance(self.paging, OffsetPaging) and page.values else None
                    yield Batch(list(page.origins), behind, size=len(page.body), retries=retries, total=total)
            finally:
                await abandon(fetched)

    async def _fetch(self, client: Client, reader: PageReader, walk: Walk, position: Cursor | None) -> tuple[Page, int]:
        query = {name: _text(value) for name, value in self.query.items() if value is not None}
        stale = STALE if isinstance(self.paging, CursorPaging) and position is not None else frozenset()

        def read(answer: Answer) -> Page:
            if answer.status in stale:
                raise self._unknown_cursor(answer, position) or client.refusal(answer)
            return reader.read(answer)

        return await client.get(self.path, query | walk.query(position), read, hand_over=stale)

    def _unknown_cursor(self, answer: Answer, position: Cursor) -> ConfigurationError | None:
        """An error for a cursor that is no longer known, if that is what the answer means."""
        body = answer.start(4096).lower()
        if answer.status != 410 and "cursor" not in body:
            return None
        return ConfigurationError(
            f"{answer.shown}: the API no longer knows the stored cursor {str(position)[:80]!r} (HTTP {answer.status}); "
            "run once with --full to read from the start, which a load with a key repeats harmlessly"
        )


async def _turns() -> None:
    """Let the request that was just started reach the wire, which takes it four turns of the loop, before the decoding
    of a page holds the loop up."""
    import asyncio

    for _ in range(8):
        await asyncio.sleep(0)


def _text(value: Value) -> Any:
    if isinstance(value, list):
        return [_text(item) for item in value if item is not None]
    return value.isoformat() if isinstance(value, date) else value


def _is_cursor(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _sized(paging: CursorPaging | OffsetPaging, query: dict[str, Any]) -> dict[str, Any]:
    """The query with the size of a page."""
    return query if paging.limit is None else {paging.limit_param: paging.limit, **query}


class _OnePage:
    def query(self, position: Cursor | None) -> dict[str, Any]:
        return {}

    def step(self, position: Cursor | None, page: Page) -> tuple[Cursor | None, bool]:
        return None, False


class _CursorWalk:
    def __init__(self, paging: CursorPaging, start: Cursor | None, log: Log):
        if start is not None and not _is_cursor(start):
            raise ConfigurationError(f"the stored position {str(start)[:80]!r} is not a cursor; run once with --full")
        self._paging = paging
        self._log = log
        self._seen = {start}
        self._empty = 0

    def query(self, position: Cursor | None) -> dict[str, Any]:
        return _sized(self._paging, {} if position is None else {self._paging.param: position})

    def step(self, position: Cursor | None, page: Page) -> tuple[Cursor | None, bool]:
        following, more = self._read(page)
        if following is None or more is False:
            return None, False
        if following in self._seen:
            raise StopRun(
                f"{page.shown}: looping cursor: paging.next {self._paging.next!r} is {str(following)[:80]!r}, which "
                f"this read has asked for before; does the API take the cursor in the parameter {self._paging.param!r}?"
            )
        self._seen.add(following)
        self._count_empty(page)
        return following, True

    def _read(self, page: Page) -> tuple[Cursor | None, bool | None]:
        """The next cursor, if any, and what the answer says about more."""
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
            self._doubt_the_end(page, more)
            return None, more
        if not _is_cursor(following):
            raise ConfigurationError(
                f"{page.shown}: paging.next {self._paging.next!r} is {str(following)[:80]!r}, a cursor is text or "
                "a whole number"
            )
        return following, more

    def _doubt_the_end(self, page: Page, more: bool | None) -> None:
        """A full first page without anything at the path of the next cursor: the path may be misspelt."""
        first_and_full = len(self._seen) == 1 and len(page.origins) == self._paging.limit
        if more is None and first_and_full and (where := page.whereabouts(self._paging.next)):
            self._log.warning("next_cursor_missing", field="paging.next", path=self._paging.next, answer=where)

    def _count_empty(self, page: Page) -> None:
        self._empty = 0 if page.origins else self._empty + 1
        if self._empty > EMPTY_PAGES:
            raise StopRun(
                f"{page.shown}: {self._empty} empty pages in a row, each with a next cursor; is the API in order?"
            )


SAME_RECORDS = 10
"""Pages of one equal record that are believed in a row: there may be that many repeats, not more."""


class _OffsetWalk:
    def __init__(self, paging: OffsetPaging, start: Cursor | None):
        if start is not None and not _is_count(start):
            raise ConfigurationError(f"the stored position {str(start)[:80]!r} is not an offset; run once with --full")
        self._paging = paging
        self._full = 0
        self._last: list[bytes] = []
        self._same = 0

    def query(self, position: Cursor | None) -> dict[str, Any]:
        return _sized(self._paging, {self._paging.param: position or 0})

    def step(self, position: Cursor | None, page: Page) -> tuple[Cursor | None, bool]:
        count = len(page.origins)
        behind = (position or 0) + count
        records = list(map(bytes, page.origins))
        self._same = self._same + 1 if count and records == self._last else 0
        if self._same > (0 if count > 1 else SAME_RECORDS):
            raise StopRun(
                f"{page.shown}: the records are the same as at the offset before; does the API take the offset in the "
                f"parameter {self._paging.param!r}?"
            )
        self._last = records
        return behind, count > 0 and self._goes_on(behind, count, page)

    def _goes_on(self, behind: int, count: int, page: Page) -> bool:
        total = page.values[0] if page.values else None
        if total is not None:
            if not _is_count(total):
                raise ConfigurationError(
                    f"{page.shown}: paging.total {self._paging.total!r} is {str(total)[:80]!r}, not a whole number"
                )
            return bool(behind < total)
        # an API may give less than the limit asks for: only a page smaller than its own others is the last
        self._full = max(self._full, count)
        return count == self._full
