"""The source http_api against a real server on loopback, well-behaved and not."""

from __future__ import annotations

import asyncio
import gzip
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from pydantic import ValidationError

from airflow_datahub.adapters import load
from airflow_datahub.adapters.sources.http_api import HttpApi
from airflow_datahub.contract import Batch, Silence, Unreadable
from airflow_datahub.errors import ConfigurationError, Interrupted, RunFailed, StopRun
from tests.adapters.sources.api import CURSOR, OFFSET, by_cursor, by_offset, failure, ids, read, rows, run_for, source
from tests.hostile import Asked, Close, Hostile, Reply, reply

# --- paging


def test_cursor_paging_from_the_start_and_from_the_last_page() -> None:
    with Hostile(by_cursor(8)) as server:
        batches = read(source(paging=CURSOR), server)
        again = read(source(paging=CURSOR), server, "c6")
    assert ids(batches) == list(range(8))
    assert [batch.cursor for batch in batches] == ["c3", "c6", None]
    assert all(batch.size > 0 and batch.pages == 1 for batch in batches)
    assert ids(again) == [6, 7]
    assert server.connections == 2
    assert [asked.query for asked in server.asked[:2]] == [{"limit": "3"}, {"limit": "3", "cursor": "c3"}]


def test_cursors_may_be_numbers_and_more_may_be_missing() -> None:
    def answer(asked: Asked) -> Reply:
        start = int(asked.query.get("after", 0))
        return reply({"data": rows(start, start + 1), "meta": {"next": start + 1 if start < 2 else ""}})

    with Hostile(answer) as server:
        batches = read(source(paging={"type": "cursor", "param": "after", "next": "meta.next", "limit": None}), server)
    assert ids(batches) == [0, 1, 2]
    assert [batch.cursor for batch in batches] == [1, 2, None]
    assert "limit" not in server.asked[0].query


@pytest.mark.parametrize("count", [0, 2, 3, 4, 6, 8])
@pytest.mark.parametrize("cap", [2, 1000])
def test_offset_paging_reads_all_even_where_the_api_gives_less_than_asked_for(count: int, cap: int) -> None:
    with Hostile(by_offset(count, cap)) as server:
        batches = read(source(paging=OFFSET), server)
        again = read(source(paging=OFFSET), server, count)
    assert ids(batches) == list(range(count))
    assert batches[-1].cursor == count
    assert ids(again) == []


def test_offset_paging_with_a_total_asks_no_page_too_much() -> None:
    with Hostile(by_offset(6, cap=2, meta={"total": 6})) as server:
        batches = read(source(paging={**OFFSET, "total": "meta.total", "limit_param": "limit"}), server)
    assert ids(batches) == list(range(6))
    assert len(server.asked) == 3
    assert {batch.total for batch in batches} == {6}


def test_one_answer_without_paging() -> None:
    with Hostile(lambda _: reply([{"id": 1}, {"id": 2}])) as server:
        (batch,) = read(
            source(records="", query={"a": None, "b": [1, True], "c": datetime(2024, 1, 1, tzinfo=UTC)}), server
        )
    assert ids([batch]) == [1, 2]
    assert batch.cursor is None
    assert server.asked[0].target == "/events?b=1&b=true&c=2024-01-01T00%3A00%3A00%2B00%3A00"


def test_the_next_page_is_asked_for_before_this_one_is_handed_over() -> None:
    with Hostile(by_cursor(9)) as server:

        async def first_page() -> int:
            async with aclosing(cast("Any", source(paging=CURSOR).read(run_for(server), None))) as batches:
                async for _ in batches:
                    await asyncio.sleep(0.2)
                    return len(server.asked)
            return 0

        assert asyncio.run(first_page()) == 2


def test_a_page_in_hand_is_given_before_the_error_of_the_next() -> None:
    def answer(asked: Asked) -> Reply:
        return reply("gone", 500) if "cursor" in asked.query else by_cursor(8)(asked)

    async def collect(server: Hostile) -> list[Batch]:
        got = []
        batches = cast("Any", source(paging=CURSOR).read(run_for(server), None))
        got.append(await anext(batches))
        with pytest.raises(RunFailed):
            await anext(batches)
        return got

    with Hostile(answer) as server:
        assert ids(asyncio.run(collect(server))) == [0, 1, 2]


def test_a_misspelt_next_is_doubted() -> None:
    said: list[tuple[str, dict[str, Any]]] = []

    class Listening(Silence):
        def warning(self, event: str, **fields: Any) -> None:
            said.append((event, fields))

    async def collect(given: HttpApi, server: Hostile) -> None:
        async for _ in cast("Any", given.read(replace(run_for(server), log=Listening()), None)):
            pass

    with Hostile(lambda _: reply({"data": rows(0, 3), "nextCursor": None})) as server:
        asyncio.run(collect(source(paging={"type": "cursor", "next": "nextCursor", "limit": 3}), server))
        asyncio.run(collect(source(paging={"type": "cursor", "next": "next", "limit": 4}), server))
        assert said == []
        asyncio.run(collect(source(paging={"type": "cursor", "next": "next", "limit": 3}), server))
    assert said[0][0] == "next_cursor_missing"
    assert "the keys 'data', 'nextCursor'" in said[0][1]["answer"]


# --- hostile


def test_looping_cursors_are_refused() -> None:
    circle = {None: "a", "a": "b", "b": "a"}

    def answer(asked: Asked) -> Reply:
        return reply({"data": rows(0, 1), "nextCursor": circle[asked.query.get("cursor")]})

    paging = {"type": "cursor", "next": "nextCursor"}
    assert "looping cursor: paging.next 'nextCursor' is 'a'" in str(error := failure(source(paging=paging), answer))
    assert isinstance(error, StopRun)
    same = failure(source(paging=paging), lambda _: reply({"data": [], "nextCursor": "x"}), cursor="x")
    assert "looping cursor" in str(same)


def test_an_offset_that_the_api_does_not_know_is_noticed() -> None:
    error = failure(source(paging=OFFSET), lambda _: reply({"data": rows(0, 3)}))
    assert isinstance(error, StopRun)
    assert "'offset'" in str(error)


def test_endless_empty_pages_are_refused_and_a_few_are_not() -> None:
    def empty(last: int) -> Callable[[Asked], Reply]:
        def answer(asked: Asked) -> Reply:
            number = int(asked.query.get("cursor", 0))
            end = number == last
            return reply({"data": rows(7, 8) if end else [], "nextCursor": None if end else number + 1})

        return answer

    paging = {"type": "cursor", "next": "nextCursor"}
    with Hostile(empty(10)) as server:
        assert ids(read(source(paging=paging), server)) == [7]
    error = failure(source(paging=paging), empty(1000))
    assert isinstance(error, StopRun)
    assert "11 empty pages in a row" in str(error)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"hasMore": True}, "paging.next 'nextCursor' has no cursor: the top has the keys 'data', 'hasMore'"),
        ({"hasMore": True, "nextCursor": None}, "has no cursor: it is null or empty"),
        ({"hasMore": "yes", "nextCursor": "a"}, "paging.more 'hasMore' is 'yes', not true or false"),
        ({"hasMore": 1, "nextCursor": "a"}, "not true or false"),
        ({"nextCursor": {"a": 1}}, "a cursor is text or a whole number"),
        ({"nextCursor": True}, "a cursor is text or a whole number"),
        ({"nextCursor": 1.5}, "a cursor is text or a whole number"),
    ],
)
def test_odd_answers_about_the_next_page_are_named(values: dict[str, Any], says: str) -> None:
    error = failure(source(paging=CURSOR), lambda _: reply({"data": rows(0, 3), **values}))
    assert isinstance(error, ConfigurationError)
    assert says in str(error)


@pytest.mark.parametrize("total", [-1, "6", True, 1.5])
def test_an_odd_total_is_named(total: Any) -> None:
    error = failure(source(paging={**OFFSET, "total": "total"}), by_offset(6, total=total))
    assert "paging.total 'total'" in str(error)


@pytest.mark.parametrize(
    ("paging", "stored"), [(OFFSET, "c3"), (OFFSET, -1), (OFFSET, True), (CURSOR, {"a": 1}), (CURSOR, 1.5)]
)
def test_a_stored_position_of_another_kind_is_refused(paging: dict[str, Any], stored: Any) -> None:
    error = failure(source(paging=paging), by_cursor(3), stored)
    assert isinstance(error, ConfigurationError)
    assert "--full" in str(error)


@pytest.mark.parametrize(
    ("status", "body"), [(410, ""), (400, "Invalid CURSOR"), (404, "no such cursor"), (422, "cursor expired")]
)
def test_an_expired_cursor_says_how_to_go_on(status: int, body: str) -> None:
    def answer(asked: Asked) -> Reply:
        return reply(body, status) if asked.query.get("cursor") == "c3" else by_cursor(8)(asked)

    for cursor in ("c3", None):
        error = failure(source(paging=CURSOR), answer, cursor)
        assert isinstance(error, ConfigurationError)
        assert f"no longer knows the stored cursor 'c3' (HTTP {status}); run once with --full" in str(error)


def test_other_refusals_are_no_expired_cursor() -> None:
    assert "no longer knows" not in str(failure(source(paging=CURSOR), lambda _: reply("bad limit", 400), "c3"))
    assert "no longer knows" not in str(failure(source(paging=CURSOR), lambda _: reply("no cursor", 400), None))
    assert "no longer knows" not in str(failure(source(paging=OFFSET), lambda _: reply("gone", 410), 3))


def test_html_is_named() -> None:
    error = failure(source(), lambda _: reply("<html>Sign in</html>", content_type="text/html; charset=utf-8"))
    assert "/events: answered HTML, not JSON (status 200, content type 'text/html')" in str(error)


@pytest.mark.parametrize(
    "broken",
    [
        reply('{"data": [{"id": 1}, {"id"'),
        reply(gzip.compress(b'{"data": [{"id": 1}]}')[:-6], content_encoding="gzip"),
        reply(""),
        [reply('{"data": [{"id": 1}]}')[:-4], Close],
        reply("busy", 502),
    ],
)
def test_broken_pages_are_repeated_and_counted(broken: Reply) -> None:
    left = [broken, broken]

    def answer(asked: Asked) -> Reply:
        return left.pop() if left else by_cursor(2)(asked)

    with Hostile(answer) as server:
        (batch,) = read(source(paging=CURSOR), server)
    assert ids([batch]) == [0, 1]
    assert batch.retries == 2
    error = failure(source(paging=CURSOR), lambda _: broken, retries=1)
    assert isinstance(error, RunFailed)
    assert "gave up after 2 tries" in str(error)


def test_missing_records_name_what_is_there() -> None:
    error = failure(source(records="dat"), lambda _: reply({"data": [], "n": 1}))
    assert "records: 'dat' is not in the answer; the top has the keys 'data', 'n'" in str(error)
    assert "not a list" in str(failure(source(records="n"), lambda _: reply({"n": 1})))


def test_a_bad_record_does_not_cost_the_others() -> None:
    body = b'{"data": [{"id": 1}, {"id": NaN}, 5, {"id": "\xff"}, {"id": 2}]}'
    with Hostile(lambda _: reply(body)) as server:
        (batch,) = read(source(), server)
    records: list[Any] = batch.records
    assert [type(record) for record in records] == [dict, Unreadable, int, Unreadable, dict]


def test_a_stop_ends_the_read() -> None:
    stopping = threading.Event()

    def answer(asked: Asked) -> Reply:
        return [9.0] if "cursor" in asked.query else by_cursor(9)(asked)

    async def collect(server: Hostile) -> float:
        run, started = run_for(server, stopping, timeout=20), time.monotonic()
        threading.Timer(0.3, stopping.set).start()
        with pytest.raises(Interrupted):
            async for _ in cast("Any", source(paging=CURSOR).read(run, None)):
                pass
        return time.monotonic() - started

    with Hostile(answer) as server:
        started = time.monotonic()
        assert asyncio.run(collect(server)) < 1
        assert time.monotonic() - started < 1.2


def test_leaving_early_leaves_nothing_behind() -> None:
    def answer(asked: Asked) -> Reply:
        return [9.0] if "cursor" in asked.query else by_cursor(9)(asked)

    async def first_only(server: Hostile) -> int:
        async with aclosing(cast("Any", source(paging=CURSOR).read(run_for(server), None))) as batches:
            async for _ in batches:
                break
        return len(asyncio.all_tasks()) - 1

    with Hostile(answer) as server:
        started = time.monotonic()
        assert asyncio.run(first_only(server)) == 0
        assert time.monotonic() - started < 1


# --- the model


def test_it_is_found_by_its_name_and_its_example_validates() -> None:
    assert load("sources", "http_api") is HttpApi
    assert source(path="/events", query={"since": "{{ params.since }}"}, paging=CURSOR)
    assert HttpApi.model_validate(source(paging=CURSOR).model_dump()) == source(paging=CURSOR)


@pytest.mark.parametrize(
    ("fields", "where", "says"),
    [
        ({"paging": {"type": "page", "start": 2}}, ("paging", "page", "start"), "0 or 1"),
        ({"paging": {"type": "next_url"}}, ("paging", "next_url", "next"), "required"),
        ({"mark": {"field": "at"}}, ("mark", "param"), "required"),
        ({"mark": {"field": "at", "param": "since", "lag": "soon"}}, ("mark", "lag"), "a duration"),
        ({"paging": OFFSET, "mark": {"field": "at", "param": "offset"}}, ("mark",), "sets the parameter 'offset'"),
        ({"rate_limit": 0}, ("rate_limit",), "greater"),
        ({"cursor_ttl": "10m"}, ("cursor_ttl",), "only cursors and links expire"),
        ({"on_quota": "wait"}, ("on_quota",), "'later' or 'stop'"),
        ({"max_response": "much"}, ("max_response",), "a size"),
        ({"paging": {"type": "curser"}}, ("paging",), "'none', 'offset', 'page', 'cursor', 'link_header', 'next_url'"),
        ({"paging": {"type": "cursor"}}, ("paging", "cursor", "next"), "required"),
        ({"paging": {"type": "offset", "limit": 0}}, ("paging", "offset", "limit"), "greater"),
        ({"paging": {"type": "offset", "next": "n"}}, ("paging", "offset", "next"), "not permitted"),
        ({"records": "a..b"}, ("records",), "not a path"),
        ({"records": "", "paging": CURSOR}, ("paging",), "has no place"),
        ({"paging": OFFSET, "query": {"limit": 5}}, ("paging",), "`query` sets 'limit'"),
        ({"path": "https://x/y"}, ("path",), "connection"),
        ({"connection": ""}, ("connection",), "at least 1"),
        ({"query": {"a": {"b": 1}}}, None, "valid"),
        ({"pagign": {}}, ("pagign",), "not permitted"),
    ],
)
def test_mistakes_are_found_where_they_are(fields: dict[str, Any], where: tuple[str, ...] | None, says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        source(**fields)
    first = caught.value.errors()[0]
    assert where is None or first["loc"] == where
    assert says in first["msg"]


@pytest.mark.parametrize("became", [None, 7, "https://x/y", "//x/y"])
def test_what_a_template_makes_of_the_path_is_looked_at(became: Any) -> None:
    error = failure(source().model_copy(update={"path": became}), lambda _: reply({"data": []}))
    assert "`path` became" in str(error)


def test_it_is_loaded_without_aiohttp() -> None:
    code = "import sys, airflow_datahub.adapters.sources.http_api; sys.exit('aiohttp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_schema_lists_what_acts() -> None:
    assert set(HttpApi.model_json_schema()["properties"]) == {
        "connection", "path", "query", "records", "paging", "mark", "rate_limit", "cursor_ttl", "on_quota",
        "max_response",
    }  # fmt: skip


def test_the_fingerprint_holds_what_gives_the_cursor_its_meaning() -> None:
    base = source(paging=CURSOR).fingerprint()
    assert base == source(paging={**CURSOR, "limit": 9, "more": None, "limit_param": "n"}).fingerprint()
    for other in (
        source(paging={**CURSOR, "param": "after"}),
        source(paging={**CURSOR, "next": "meta.next"}),
        source(paging={"type": "offset", "param": "cursor"}),
        source(paging=CURSOR, path="/other"),
        source(paging=CURSOR, query={"a": 1}),
        source(paging=CURSOR, records="rows"),
        source(paging=CURSOR, connection="other"),
    ):
        assert other.fingerprint() != base


# --- what an answer may be


def test_an_answer_may_be_so_large() -> None:
    def answer(asked: Asked) -> Reply:
        return reply({"data": rows(0, 200)})

    with Hostile(answer) as server:
        assert len(ids(read(source(max_response="64KiB"), server))) == 200
    error = failure(source(max_response="1KiB"), answer)
    assert isinstance(error, ConfigurationError)
    assert "it may have 1,024 bytes" in str(error)
    assert "what the step says" in str(error)


def test_the_rate_to_begin_with_is_kept() -> None:
    with Hostile(by_cursor(15)) as server:
        started = time.monotonic()
        assert ids(read(source(paging=CURSOR, rate_limit=10), server)) == list(range(15))
        assert time.monotonic() - started > 0.2
