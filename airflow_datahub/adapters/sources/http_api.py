"""Read records from a JSON API over HTTP, page by page, and go on where the last run ended.

The connection is an Airflow connection of type `http`: the address in its host, the secret in its password, how
requests are signed, limits and all else in its extra, whose fields stand under Connections.

Example:
    adapter: http_api
    config:
      connection: datasync
      path: /events
      query: {since: "{{ params.since }}"}
      records: data
      paging: {type: cursor, param: cursor, next: nextCursor, more: hasMore, limit: 1000}
      mark: {field: updated_at, param: since, lag: 5m}
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator

from airflow_datahub.contract import Batch, Connection, Cursor, Place, Run, Source, Templated
from airflow_datahub.errors import ConfigurationError, QuotaUsedUp
from airflow_datahub.http.mark import Mark, Tracker
from airflow_datahub.http.paging import (
    CursorPaging,
    Fetched,
    NoPaging,
    OffsetPaging,
    PagePaging,
    Paging,
    Site,
    Step,
    Walk,
    not_a_position,
)
from airflow_datahub.paths import parse
from airflow_datahub.quantities import Size, SomeTime, shortest

if TYPE_CHECKING:
    from airflow_datahub.http.client import Answer, Client

Name = Annotated[str, Field(min_length=1)]
Plain = str | bool | int | float | datetime | date | None
Value = Plain | list[Plain]

STALE = frozenset({400, 404, 410, 422})
"""With what APIs answer a cursor that they no longer know."""

MISSING = frozenset({404})
"""With what some APIs answer behind the end of a list."""


class CursorExpired(ConfigurationError):
    """The API no longer knows the position, or it is too old to be tried."""


@dataclass(frozen=True, slots=True)
class _Pass:
    """One way through the source: from its start, or from a mark."""

    marked: bool = False
    """Whether it began at a mark; `since` may be None then, too: it began at the start for want of a safe one."""
    since: Any = None
    at: Cursor | None = None
    """The position of the paging."""

    @classmethod
    def of(cls, cursor: Cursor | None) -> _Pass:
        """The pass and its position, as a checkpoint's cursor has them."""
        if isinstance(cursor, dict) and "since" in cursor and cursor.keys() <= {"since", "at"}:
            return cls(True, cursor["since"], cursor.get("at"))
        return cls(at=cursor)

    def cursor(self, at: Cursor | None) -> Cursor | None:
        """What a checkpoint keeps for a position of the paging in this pass."""
        return {"since": self.since, "at": at} if self.marked and at is not None else at

    def start(self) -> Cursor:
        """What a checkpoint keeps for the start of this pass, which began at a mark."""
        return {"since": self.since}


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

    paging: Paging = NoPaging()
    """How to go from page to page: `none`, `offset`, `page`, `cursor`, `link_header` or `next_url`."""

    mark: Mark | None = None
    """A field that only grows: what is new is asked for by it. Paged by `cursor`, the API's own cursor is what a run
    goes on from, and the mark is where it begins again once that cursor has expired. Paged otherwise, each run begins
    at the mark of the one before."""

    rate_limit: Annotated[float, Field(gt=0, le=100_000)] | None = None
    """Requests a second to begin with; what the API says of its limits wins, but never above the connection's own
    `rate_limit`."""

    cursor_ttl: SomeTime | None = None
    """How long the API knows a cursor: an older one is not tried, the run begins at the mark."""

    on_quota: Literal["later", "stop"] = "later"
    """What to do when the API wants a pause that is too long to wait for, as for a daily quota: `later` puts the task
    off until then, `stop` ends the run successfully with what it has."""

    max_response: Size | None = None
    """The largest answer that is taken, unpacked, where the connection allows more: 256 MiB unless its extra says
    otherwise."""

    @field_validator("records")
    @classmethod
    def _a_path(cls, records: str) -> str:
        parse(records)
        return records

    @field_validator("path")
    @classmethod
    def _inside_the_connection(cls, path: str) -> str:
        if _elsewhere(path):
            raise ValueError("put scheme and host into the connection; `path` is what follows them, as in /events")
        return path

    @field_validator("paging")
    @classmethod
    def _fitting_paging(cls, paging: Paging, info: ValidationInfo) -> Paging:
        if both := sorted(paging.params & set(info.data.get("query", ()))):
            raise ValueError(f"`query` sets {both[0]!r}, which the paging sets itself")
        if paging.paths and info.data.get("records") == "":
            raise ValueError(f"{paging.paths[0]!r} has no place in an answer that is the list; name it with `records`")
        return paging

    @field_validator("mark")
    @classmethod
    def _fitting_mark(cls, mark: Mark | None, info: ValidationInfo) -> Mark | None:
        if mark and "paging" in info.data and mark.param in info.data["paging"].params:
            raise ValueError(f"the paging sets the parameter {mark.param!r} itself")
        return mark

    @field_validator("cursor_ttl")
    @classmethod
    def _of_cursors(cls, given: Any, info: ValidationInfo) -> Any:
        if given and "paging" in info.data and not info.data["paging"].perishable:
            raise ValueError("only cursors and links expire; leave it out with this paging")
        return given

    def fingerprint(self) -> str:
        """A page's number means a place only together with the size of pages."""
        paging = self.paging
        size = f"/{paging.limit}/{paging.start}" if isinstance(paging, PagePaging) else ""
        return super().fingerprint() + size

    def begins_again(self) -> bool:
        return isinstance(self.paging, NoPaging) and self.mark is None

    def notes(self) -> list[str]:
        if isinstance(self.paging, OffsetPaging | PagePaging):
            kind = self.paging.type
            return [f"{kind} paging misses or repeats records where rows are added or removed in front while it reads"]
        return []

    def notes_on(self, connections: Callable[[str], Connection]) -> list[str]:
        from airflow_datahub.http.target import target_of

        target = target_of(connections(self.connection))
        return [] if target.verify else [f"connection {self.connection!r} takes any TLS certificate (verify: false)"]

    def place(self, connections: Callable[[str], Connection]) -> Place:
        from airflow_datahub.http.target import target_of

        address = urlsplit(target_of(connections(self.connection)).base)
        path = f"{address.path}/{self._path().lstrip('/')}".partition("?")[0]
        return Place(f"{address.scheme}://{address.netloc}", path)

    def open(self, run: Run) -> None:
        import airflow_datahub.http.client  # noqa: F401 - half a second of imports

    async def read(self, run: Run, cursor: Cursor | None) -> AsyncIterator[Batch]:
        """One batch a page, in the order of the pages; the next ones are asked for before a batch is handed over."""
        # here, because asyncio and aiohttp take longer to import than a spec may take to check
        from airflow_datahub.http.client import Client

        here, tracker = _Pass.of(cursor), self._tracker(run)
        if here.marked and tracker is None:
            raise not_a_position(cursor, "one without a `mark`")
        tried: list[_Pass] = []
        asking = Client(
            self.connection, run, concurrency=run.concurrency, rate_limit=self.rate_limit, largest=self.max_response
        )
        async with asking as client:
            while True:
                try:
                    self._check_age(run, here)
                    async with aclosing(self._pass(client, run, here, tracker)) as batches:
                        async for batch in batches:
                            yield batch
                    return
                except QuotaUsedUp as error:
                    if self.on_quota != "stop":
                        raise
                    run.log.warning("quota_used_up", ends="the run, at its last page", cause=str(error))
                    return
                except CursorExpired as error:
                    here = self._restarted(run, tracker, tried, error)
                yield Batch([], here.start(), pages=0, mark=tracker.kept() if tracker else None)

    async def _pass(self, client: Client, run: Run, here: _Pass, tracker: Tracker | None) -> AsyncGenerator[Batch]:
        from airflow_datahub.http.page import PageReader
        from airflow_datahub.http.reading import Reading

        target, path = client.target, self._path()
        address = f"{target.base}/{path.lstrip('/')}".partition("?")[0]
        site = Site(address, target.params, run.log, target.masked, client.check)
        walk, reader = self.paging.walk(here.at, site), PageReader(self.records, self.paging.paths, target.limits)

        async def ask(position: Cursor | None) -> Fetched:
            return await self._fetch(client, reader, walk, here, position)

        async with aclosing(Reading(walk, ask, run.concurrency).pages(here.at)) as pages:
            async for fetched, step in pages:
                if fetched.missing:
                    run.log.info("page_is_missing", request=fetched.page.shown, taken_for="the end")
                yield self._batch(fetched, step, here, tracker)

    def _batch(self, fetched: Fetched, step: Step, here: _Pass, tracker: Tracker | None) -> Batch:
        page = fetched.page
        records = list(page.origins)
        behind = here.cursor(step.behind)
        if tracker:
            new = tracker.look(records)
            records = records if new is None else [records[index] for index in new]
            if not step.more and tracker.highest:
                behind = self._finished(behind, tracker)
        return Batch(
            records, behind, size=len(page.body), retries=fetched.retries, total=None if here.marked else step.total,
            mark=tracker.kept() if tracker else None,
        )  # fmt: skip

    async def _fetch(self, client: Client, reader: Any, walk: Walk, here: _Pass, position: Cursor | None) -> Fetched:
        address, query = walk.address(position), dict(walk.query(position))
        stale = STALE if self.paging.perishable and position is not None else frozenset()
        missing = MISSING if walk.may_be_missing(position) else frozenset()

        def read(answer: Answer) -> Fetched:
            if answer.status in stale:
                raise self._unknown_cursor(answer, position) or client.refusal(answer)
            if answer.status in missing:
                return Fetched(reader.nothing(answer), answer.headers, missing=True)
            return Fetched(reader.read(answer), answer.headers)

        query = query if address else {**dict(self._query(here)), **query}
        fetched, retries = await client.get(address or self.path, query, read, hand_over=stale | missing)
        return replace(fetched, retries=retries)

    def _query(self, here: _Pass) -> Iterator[tuple[str, Any]]:
        yield from ((name, _text(value)) for name, value in self.query.items() if value is not None)
        if self.mark and here.since is not None:
            yield self.mark.param, here.since

    def _path(self) -> str:
        """The path, now that its templates are filled in. Raises ConfigurationError where it is none."""
        path: object = self.path
        if isinstance(path, str) and not _elsewhere(path):
            return path
        raise ConfigurationError(
            f"`path` became {str(path)[:80]!r}, which is no path behind the address of connection {self.connection!r}"
        )

    # --- the mark

    def _finished(self, behind: Cursor | None, tracker: Tracker) -> Cursor | None:
        """Where the next run begins: behind the API's own cursor, or with a pass from the mark."""
        if isinstance(self.paging, CursorPaging):
            tracker.finish()
            return behind
        again = _Pass(True, tracker.since())
        tracker.begin(again.since)
        return again.start()

    def _tracker(self, run: Run) -> Tracker | None:
        stored = run.checkpoint.mark if run.checkpoint else None
        return Tracker(self.mark, stored, run.log) if self.mark else None

    def _check_age(self, run: Run, here: _Pass) -> None:
        age = run.checkpoint.age if run.checkpoint else None
        if self.cursor_ttl and here.at is not None and age is not None and age > self.cursor_ttl.total_seconds():
            raise CursorExpired(
                f"the stored cursor {str(here.at)[:80]!r} is {age:.0f} s old, and cursor_ttl is "
                f"{shortest(self.cursor_ttl)}; give a `mark` to go on from, or run once with --full"
            )

    def _unknown_cursor(self, answer: Answer, position: Cursor) -> CursorExpired | None:
        """An error for a cursor that is no longer known, if that is what the answer means."""
        body = answer.start(4096).lower()
        if answer.status != 410 and "cursor" not in body:
            return None
        return CursorExpired(
            f"{answer.shown}: the API no longer knows the stored cursor {str(position)[:80]!r} (HTTP {answer.status}); "
            "run once with --full to read from the start, which a load with a key repeats harmlessly, and give a `mark`"
        )

    def _restarted(self, run: Run, tracker: Tracker | None, tried: list[_Pass], error: CursorExpired) -> _Pass:
        """The pass that takes the place of one whose cursor has expired. Raises the error where there is none."""
        if tracker is None:
            raise error
        again = _Pass(True, tracker.safe())
        if again in tried:
            raise error
        tried.append(again)
        tracker.begin(again.since)
        run.log.warning("cursor_expired", cause=str(error), begins_again_at=_told(again.since))
        return again


def _elsewhere(path: str) -> bool:
    """Whether it names a host of its own."""
    return "://" in path.partition("?")[0] or path.startswith("//")


def _text(value: Value) -> Any:
    if isinstance(value, list):
        return [_text(item) for item in value if item is not None]
    return value.isoformat() if isinstance(value, date) else value


def _told(since: Any) -> str:
    return "start" if since is None else str(since)
