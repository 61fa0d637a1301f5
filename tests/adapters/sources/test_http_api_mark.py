"""Reading what is new by a field, and what a mark is for when a cursor has expired."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import example, settings
from hypothesis import given as gives
from hypothesis import strategies as st

from airflow_datahub.adapters.sources.http_api import HttpApi
from airflow_datahub.contract import Batch, Checkpoint, Silence
from airflow_datahub.engine.position import START, Place, Position
from airflow_datahub.errors import ConfigurationError, QuotaUsedUp
from airflow_datahub.http.mark import Tracker
from airflow_datahub.http.paging import PagePaging
from airflow_datahub.http.paging.counted import _PageWalk
from tests.adapters.sources.api import CURSOR, OFFSET, decoded, run_for, source
from tests.hostile import Asked, Hostile, Reply, reply

NONE = {"type": "none"}
PAGE = {"type": "page", "limit": 3}
NEXT = {"type": "next_url", "next": "next", "limit": 3}
MARK = {"field": "at", "param": "since"}
EVERY = [NONE, OFFSET, PAGE, NEXT, CURSOR]


@dataclass
class Api:
    """An API over rows in their order, filtered by `since`, paged as the query asks; cursors that start before
    `forgotten` are gone."""

    rows: list[dict[str, Any]]
    gone: Callable[[str], bool] = lambda cursor: False
    asked: list[Asked] = field(default_factory=list)
    cap: int = 1000

    def __call__(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        query = asked.query
        if self.gone(query.get("cursor", "")):
            return reply("cursor expired", 410)
        rows = [row for row in self.rows if "since" not in query or _not_before(row.get("at"), query["since"])]
        limit = min(self.cap, int(query["limit"])) if "limit" in query else len(rows) + 1
        start = int(query.get("offset") or query.get("cursor", "c0")[1:])
        start += (int(query.get("page", 1)) - 1) * limit
        end = min(start + limit, len(rows))
        more = end < len(rows)
        since = f"&since={query['since']}" if "since" in query else ""
        return reply(
            {
                "data": rows[start:end], "hasMore": more, "nextCursor": f"c{end}" if more else None,
                "next": f"/events?cursor=c{end}&limit={limit}{since}" if more else None,
            }
        )  # fmt: skip


def _not_before(value: Any, since: str) -> bool:
    if isinstance(value, str) and "T" in value:
        return datetime.fromisoformat(value) >= datetime.fromisoformat(since.replace(" ", "+"))
    return value is not None and (value >= float(since) if isinstance(value, int | float) else value >= since)


def at(second: int, number: int | None = None) -> dict[str, Any]:
    time = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
    return {"id": second if number is None else number, "at": time.isoformat().replace("+00:00", "Z")}


class Listening(Silence):
    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, Any]]] = []

    def warning(self, event: str, **fields: Any) -> None:
        self.said.append((event, fields))


@dataclass
class Stream:
    """Runs one after another over one API, each from where the last one's checkpoint stands, as the engine does it."""

    given: HttpApi
    server: Hostile
    place: Place = START
    age: float = 0.0
    log: Listening = field(default_factory=Listening)

    def run(self, pieces: int | None = None, most: int = 100) -> list[Any]:
        """The ids of one run; it dies once so many pieces are committed."""
        return asyncio.run(self._run(pieces, most))

    async def _run(self, pieces: int | None, most: int) -> list[Any]:
        place = self.place
        checkpoint = Checkpoint(1, "o", place.cursor, place.skip, "f", {}, place.mark, last=place.last, age=self.age)
        checkpoint = None if place == START else checkpoint
        run = replace(run_for(self.server), checkpoint=checkpoint, log=self.log)
        position, got = Position.of(checkpoint), []
        batches = cast("Any", self.given.read(run, place.cursor))
        try:
            async for batch in batches:
                for piece in position.pieces(_as_it_travels(batch), lambda: most):
                    got += [record["id"] for record in decoded(piece.records)]
                    self.place = position.place
                    pieces = None if pieces is None else pieces - 1
                    if pieces == 0:
                        return got
                self.place = position.place
        finally:
            await batches.aclose()
        return got


def _as_it_travels(batch: Batch) -> Batch:
    return replace(batch, mark=json.loads(json.dumps(batch.mark)), cursor=json.loads(json.dumps(batch.cursor)))


@pytest.mark.parametrize("paging", EVERY)
def test_each_run_brings_what_is_new(paging: dict[str, Any]) -> None:
    api = Api([at(n) for n in range(8)])
    with Hostile(api) as server:
        stream = Stream(source(paging=paging, mark=MARK), server)
        assert stream.run() == list(range(8))
        assert stream.run() == []
        api.rows += [at(n) for n in range(8, 15)]
        assert stream.run() == list(range(8, 15))
        assert stream.run() == []
    assert not stream.log.said
    if paging is not CURSOR:
        assert api.asked[-1].query["since"] == at(14)["at"]


@pytest.mark.parametrize("paging", [NONE, OFFSET, PAGE, NEXT])
def test_more_of_the_same_time_is_new_and_what_was_there_is_not(paging: dict[str, Any]) -> None:
    api = Api([at(1, 1), at(2, 2), at(2, 3), at(2, 4), at(2, 5)])
    with Hostile(api) as server:
        stream = Stream(source(paging=paging, mark=MARK), server)
        assert stream.run() == [1, 2, 3, 4, 5]
        api.rows += [at(2, 6)]
        assert stream.run() == [6]
        api.rows += [at(2, 7), at(3, 8)]
        assert stream.run() == [7, 8]
        assert stream.run() == []


@pytest.mark.parametrize("paging", [NONE, OFFSET, PAGE, NEXT])
def test_what_turns_up_late_is_found_within_the_lag(paging: dict[str, Any]) -> None:
    api = Api([at(100), at(105), at(110)])
    with Hostile(api) as server:
        stream = Stream(source(paging=paging, mark={**MARK, "lag": "30s"}), server)
        assert stream.run() == [100, 105, 110]
        api.rows = [at(85), at(79), *api.rows, at(111)]
        assert stream.run() == [85, 111]
        assert stream.run() == []


def test_the_highest_counts_not_the_last() -> None:
    api = Api([at(9), at(3), at(7)])
    with Hostile(api) as server:
        stream = Stream(source(mark=MARK), server)
        assert stream.run() == [9, 3, 7]
        assert stream.place.cursor == {"since": at(9)["at"]}


def test_a_mark_of_another_field_is_not_used() -> None:
    with Hostile(Api([at(1)])) as server:
        stream = Stream(source(paging=CURSOR, mark=MARK), server)
        stream.run()
        stream.given = source(paging=CURSOR, mark={**MARK, "field": "id"})
        stream.run()
        assert stream.log.said[0][0] == "mark_of_another_field"
        stream.place = replace(stream.place, mark={"field": "id"})
        with pytest.raises(ConfigurationError, match="is not one of this source"):
            stream.run()


def test_a_place_in_a_pass_means_nothing_without_the_mark() -> None:
    with Hostile(Api([at(1)])) as server:
        stream = Stream(source(paging=OFFSET, mark=MARK), server)
        stream.run()
        stream.given = source(paging=OFFSET)
        with pytest.raises(ConfigurationError, match="--full"):
            stream.run()


# --- expired cursors


@pytest.mark.parametrize("lag", ["0s", "3s"])
def test_an_expired_cursor_begins_again_at_the_mark(lag: str) -> None:
    api = Api([at(n) for n in range(8)])
    with Hostile(api) as server:
        stream = Stream(source(paging=CURSOR, mark={**MARK, "lag": lag}), server)
        assert stream.run() == list(range(8))
        api.rows += [at(n) for n in range(8, 15)]
        old = {asked.query["cursor"] for asked in api.asked if "cursor" in asked.query}
        api.gone = lambda cursor: cursor in old and "since" not in api.asked[-1].query
        assert stream.run() == list(range(8, 15))
        assert [event for event, _ in stream.log.said] == ["cursor_expired"]
        api.gone = lambda cursor: False
        assert stream.run() == []
        api.rows += [at(20)]
        assert stream.run() == [20]
    assert len(stream.log.said) == 1


def test_an_expired_cursor_in_the_middle_of_a_page_loses_nothing() -> None:
    api = Api([at(n) for n in range(8)])
    with Hostile(api) as server:
        stream = Stream(source(paging=CURSOR, mark=MARK), server)
        assert stream.run(pieces=4, most=1) == [0, 1, 2, 3]
        api.gone = lambda cursor: cursor == "c3" and len(api.asked) < 5
        assert stream.run() == [3, 4, 5, 6, 7]  # how far into the page it was is not known any more


def test_a_cursor_that_is_too_old_is_not_tried() -> None:
    api = Api([at(n) for n in range(8)])
    with Hostile(api) as server:
        stream = Stream(source(paging=CURSOR, mark=MARK, cursor_ttl="10m"), server)
        stream.run()
        asked = len(api.asked)
        stream.age = 599.0
        assert stream.run() == []
        assert api.asked[asked].query["cursor"] == "c6"
        asked = len(api.asked)
        stream.age = 601.0
        assert stream.run() == []
        assert "cursor" not in api.asked[asked].query
        assert api.asked[asked].query["since"] == at(7)["at"]
        stream.given = source(paging=CURSOR, cursor_ttl="10m")
        stream.place = Place("c6", 2)
        with pytest.raises(ConfigurationError, match=r"601 s old, and cursor_ttl is 10m"):
            stream.run()


def test_where_records_came_out_of_order_an_unfinished_read_begins_where_it_began() -> None:
    """Newest first: what is below the mark is not yet read, so the mark would lose it."""
    api = Api([at(n) for n in reversed(range(9))])
    with Hostile(api) as server:
        stream = Stream(source(paging=CURSOR, mark=MARK), server)
        assert stream.run(pieces=2) == [8, 7, 6, 5, 4, 3]
        api.gone = lambda cursor: cursor == "c6" and len([a for a in api.asked if "cursor" in a.query]) < 4
        rest = stream.run()
        assert set(rest) >= {2, 1, 0}
        assert stream.log.said[0][1]["begins_again_at"] == "start"


def test_one_late_record_of_the_past_costs_no_later_restart() -> None:
    api = Api([at(5), at(1), *[at(n) for n in range(10, 17)]])
    with Hostile(api) as server:
        stream = Stream(source(paging=CURSOR, mark=MARK), server)
        assert stream.run() == [5, 1, *range(10, 17)]
        api.rows += [at(20), at(3), at(21)]
        stream.run(pieces=1, most=1)
        old = {asked.query["cursor"] for asked in api.asked if "cursor" in asked.query}
        api.gone = lambda cursor: cursor in old and "since" not in api.asked[-1].query
        stream.run()
        assert stream.log.said[-1][1]["begins_again_at"] == at(16)["at"]


def test_a_cursor_that_always_expires_ends_in_its_error() -> None:
    api = Api([at(n) for n in range(8)], gone=lambda cursor: cursor != "")
    with Hostile(api) as server:
        stream = Stream(source(paging=CURSOR, mark={**MARK, "lag": "1h"}), server)
        with pytest.raises(ConfigurationError, match="no longer knows"):
            stream.run()
    assert len(api.asked) < 10


def test_an_expired_link_begins_again_at_the_mark() -> None:
    api = Api([at(n) for n in range(8)])
    with Hostile(api) as server:
        stream = Stream(source(paging=NEXT, mark=MARK), server)
        assert stream.run(pieces=2) == list(range(6))
        api.gone = lambda cursor: cursor == "c6" and len(api.asked) < 5
        assert stream.run() == [6, 7]
    assert stream.log.said[0][0] == "cursor_expired"


@pytest.mark.parametrize("on_quota", ["later", "stop"])
def test_a_used_up_quota_ends_the_run_or_puts_it_off(on_quota: str) -> None:
    left = [2]

    def answer(asked: Asked) -> Reply:
        left[0] -= 1
        return api(asked) if left[0] >= 0 else reply("quota", 429, retry_after="86400")

    api = Api([at(n) for n in range(8)])
    with Hostile(answer) as server:
        stream = Stream(source(paging=CURSOR, on_quota=on_quota), server)
        if on_quota == "stop":
            assert stream.run() == list(range(6))
            assert stream.log.said[-1][0] == "quota_used_up"
        else:
            with pytest.raises(QuotaUsedUp) as caught:
                stream.run()
            assert caught.value.delay == 86400
        left[0] = 9
        assert stream.run() == [6, 7]


@settings(max_examples=int(os.environ.get("EXAMPLES", "60")), deadline=None)
@gives(
    paging=st.sampled_from(EVERY),
    counts=st.lists(st.integers(0, 9), min_size=1, max_size=4),
    ties=st.integers(1, 4),
    deaths=st.lists(st.none() | st.integers(1, 6), max_size=6),
    most=st.integers(1, 5),
    lag=st.sampled_from(["0s", "2s"]),
    marked=st.booleans(),
    cap=st.sampled_from([2, 1000]),
)
@example(paging=PAGE, counts=[1, 1], ties=1, deaths=[], most=1, lag="0s", marked=False, cap=1000)
@example(paging=OFFSET, counts=[2, 2], ties=4, deaths=[], most=1, lag="0s", marked=True, cap=1000)
def test_each_record_comes_once_and_in_order(
    paging: dict[str, Any], counts: list[int], ties: int, deaths: list[int | None], most: int, lag: str, marked: bool,
    cap: int,
) -> None:  # fmt: skip
    """Over any growth of the data and any deaths of the runs."""
    api, got, number = Api([], cap=cap), [], 0
    with Hostile(api) as server:
        stream = Stream(source(paging=paging, mark={**MARK, "lag": lag} if marked else None), server)
        for count, death in zip(counts, [*deaths, *[None] * len(counts)], strict=False):
            api.rows += [at(n // ties, n) for n in range(number, number + count)]
            number += count
            got += stream.run(death, most)
        got += stream.run(None, most)
    assert got == list(range(number))


# --- broken twins: what these tests are worth


class Early(Position):
    """Its mark moves with the first piece of a batch."""

    def _move(self, batch: Batch, start: int, end: int) -> None:
        super()._move(batch, start, end)
        self._place = replace(self._place, mark=batch.mark)


class Forgetful(Tracker):
    """Knows no keys at the mark."""

    def begin(self, since: Any) -> None:
        super().begin(since)
        self._known = frozenset()


class Last(Tracker):
    """The last record's value is its mark."""

    def _climb(self, value: Any) -> None:
        self.highest, self._floor = value, value.order


class Sure(Tracker):
    """Takes every read for one in order."""

    def _climb(self, value: Any) -> None:
        super()._climb(value)
        self.ordered = True


def guessing(paging: PagePaging, start: Any, site: Any) -> Any:
    """Takes every page for a full one."""
    walk: Any = _PageWalk(paging, site)
    walk._sizes = set(range(1, 1000))
    return walk


HERE, SOURCE = __name__, "airflow_datahub.adapters.sources.http_api"
UNORDERED = test_where_records_came_out_of_order_an_unfinished_read_begins_where_it_began


@pytest.mark.parametrize(
    ("place", "twin", "check"),
    [
        (f"{HERE}.Position", Early, test_an_expired_cursor_in_the_middle_of_a_page_loses_nothing),
        (f"{SOURCE}.Tracker", Forgetful, test_each_record_comes_once_and_in_order),
        (f"{SOURCE}.Tracker", Last, test_the_highest_counts_not_the_last),
        (f"{SOURCE}.Tracker", Sure, UNORDERED),
        (f"{PagePaging.__module__}.PagePaging.walk", guessing, test_each_record_comes_once_and_in_order),
    ],
)
def test_a_broken_twin_is_noticed(
    monkeypatch: pytest.MonkeyPatch, place: str, twin: Any, check: Callable[[], None]
) -> None:
    monkeypatch.setattr(place, twin)
    with pytest.raises(AssertionError):
        check()
