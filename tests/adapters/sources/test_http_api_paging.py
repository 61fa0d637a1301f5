"""Every kind of paging of http_api, one page after another and several at once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any, cast

import pytest

from airflow_datahub.adapters.sources.http_api import HttpApi
from airflow_datahub.contract import Batch, Unreadable
from airflow_datahub.errors import ConfigurationError, Interrupted, RunError, RunFailed, StopRun
from airflow_datahub.http.paging.loops import REMEMBERED, Seen
from airflow_datahub.http.reading import Reading
from tests.adapters.sources.api import OFFSET, by_offset, failure, ids, read, rows, run_for, source
from tests.hostile import Asked, Hostile, Reply, reply

PAGE = {"type": "page", "limit": 3}
LINK = {"type": "link_header", "limit": 3}
NEXT = {"type": "next_url", "next": "links.next", "limit": 3}


def by_page(count: int, start: int = 1, **values: Any) -> Callable[[Asked], Reply]:
    def answer(asked: Asked) -> Reply:
        first = (int(asked.query["page"]) - start) * int(asked.query["limit"])
        return reply({"data": rows(first, min(first + int(asked.query["limit"]), count)), **values})

    return answer


def by_link(count: int, form: str = "/events?at={}&limit={}") -> Callable[[Asked], Reply]:
    """Pages whose next address stands in the Link header and in the body."""

    def answer(asked: Asked) -> Reply:
        start, limit = int(asked.query.get("at", 0)), int(asked.query["limit"])
        end = min(start + limit, count)
        link = form.format(end, limit) if end < count else None
        headers = {"link": f'</first>; rel="first", <{link}>; title="a, b; c"; rel="last next"'} if link else {}
        return reply({"data": rows(start, end), "links": {"next": link}}, **headers)

    return answer


def together(server: Hostile, given: HttpApi, concurrency: int) -> tuple[list[Batch], RunError | None]:
    """The batches that came before the end or the error."""

    async def collect() -> tuple[list[Batch], RunError | None]:
        got: list[Batch] = []
        try:
            async for batch in cast("Any", given.read(replace(run_for(server), concurrency=concurrency), None)):
                got.append(batch)
        except RunError as error:
            return got, error
        return got, None

    return asyncio.run(collect())


# --- page


@pytest.mark.parametrize("count", [0, 2, 3, 4, 6, 8])
@pytest.mark.parametrize("start", [0, 1])
@pytest.mark.parametrize("told", [True, False])
def test_pages_by_number_from_the_start_and_from_where_it_ended(count: int, start: int, told: bool) -> None:
    paging = {**PAGE, "start": start, **({"pages": "meta.pages"} if told else {})}
    values = {"meta": {"pages": -(-count // 3)}} if told else {}
    with Hostile(by_page(count, start, **values)) as server:
        batches = read(source(paging=paging), server)
        positions = [batch.cursor for batch in batches]
        asked = len(server.asked)
        known = max((index for index, position in enumerate(positions) if position is not None), default=-1)
        again = read(source(paging=paging), server, positions[known] if known >= 0 else None)
    assert ids(batches) == list(range(count))
    assert ids(again) == ids(batches[known + 1 :])
    assert positions[-1] is None
    if told:
        assert asked == max(1, -(-count // 3))


def test_a_page_that_is_empty_before_the_last_is_passed_over() -> None:
    def answer(asked: Asked) -> Reply:
        page = int(asked.query["page"])
        return reply({"data": [] if page == 2 else rows(page, page + 1), "pages": 3})

    with Hostile(answer) as server:
        assert ids(read(source(paging={**PAGE, "pages": "pages"}), server)) == [1, 3]
    error = failure(source(paging={**PAGE, "pages": "pages"}), lambda _: reply({"data": [], "pages": 99}))
    assert isinstance(error, StopRun)
    assert "empty pages in a row" in str(error)


def test_the_size_of_pages_gives_their_numbers_their_meaning() -> None:
    assert source(paging=PAGE).fingerprint() != source(paging={**PAGE, "limit": 5}).fingerprint()
    assert source(paging=PAGE).fingerprint() != source(paging={**PAGE, "start": 0}).fingerprint()
    assert source(paging=LINK).fingerprint() == source(paging={**LINK, "limit": 5}).fingerprint()


# --- links


@pytest.mark.parametrize("paging", [LINK, NEXT])
@pytest.mark.parametrize("form", ["/events?at={}&limit={}", "?at={}&limit={}", "http://HOST/events?at={}&limit={}"])
def test_links_are_followed_as_they_are(paging: dict[str, Any], form: str) -> None:
    with Hostile(lambda _: b"") as server:
        server.answer = by_link(8, form.replace("HOST", f"127.0.0.1:{server.port}"))
        given = source(paging=paging, query={"status": "open"})
        batches = read(given, server)
        again = read(given, server, batches[1].cursor)
    assert ids(batches) == list(range(8))
    assert ids(again) == [6, 7]
    assert batches[0].cursor == f"http://127.0.0.1:{server.port}/events?at=3&limit=3"
    assert batches[-1].cursor is None
    assert server.asked[0].query == {"status": "open", "limit": "3"}
    assert server.asked[1].target == "/events?at=3&limit=3"


def test_a_key_that_the_api_puts_into_its_links_is_not_kept() -> None:
    with Hostile(by_link(4, "/events?at={}&key=s3cret&limit={}")) as server:
        batches = read(source(paging=NEXT), server, password="secret-word", auth="api_key", param="key")
    assert ids(batches) == list(range(4))
    assert batches[0].cursor == f"http://127.0.0.1:{server.port}/events?at=3&limit=3"
    assert server.asked[1].query["key"] == "secret-word"


def test_a_token_that_the_api_puts_into_its_links_is_not_kept() -> None:
    with Hostile(by_link(4, "/events?at={}&access_token=t0k%2Ben%2Bword&limit={}")) as server:
        batches = read(source(paging=NEXT), server, password="t0k+en+word", auth="bearer")
    assert batches[0].cursor == f"http://127.0.0.1:{server.port}/events?at=3&limit=3"


@pytest.mark.parametrize(
    ("link", "says"),
    [
        ("https://elsewhere.example.com/events", "leads to https://elsewhere.example.com"),
        ("javascript:alert(1)", "not an address to go on at"),
        ("http://[::1/events", "not an address to go on at"),
        (5, "paging.next 'links.next' is '5', not an address"),
        (["/events"], "not an address"),
        (True, "not an address"),
        ("/" + "x" * 20_000, "not an address"),
    ],
)
def test_a_link_to_nowhere_good_is_refused(link: Any, says: str) -> None:
    error = failure(source(paging=NEXT), lambda _: reply({"data": rows(0, 3), "links": {"next": link}}))
    assert isinstance(error, ConfigurationError)
    assert says in str(error)


def test_a_link_that_is_not_followed_is_no_position_to_keep() -> None:
    kept: list[Any] = []

    async def collect(server: Hostile) -> None:
        async for batch in cast("Any", source(paging=NEXT).read(run_for(server), None)):
            kept.append(batch.cursor)

    def answer(asked: Asked) -> Reply:
        start = int(asked.query.get("at", 0))
        link = "http://elsewhere.example/events" if start else "/events?at=3"
        return reply({"data": rows(start, start + 3), "links": {"next": link}})

    with Hostile(answer) as api, pytest.raises(ConfigurationError, match="leads to http://elsewhere"):
        asyncio.run(collect(api))
    assert kept == [f"http://127.0.0.1:{api.port}/events?at=3"]


@pytest.mark.parametrize("link", [None, "", False])
def test_no_link_is_the_end(link: Any) -> None:
    with Hostile(lambda _: reply({"data": rows(0, 3), "links": {"next": link}})) as server:
        assert ids(read(source(paging=NEXT), server)) == [0, 1, 2]


@pytest.mark.parametrize(
    ("header", "goes_on"),
    [
        ('</events?at=3&limit=3>; rel="next"', True),
        ("</events?at=3&limit=3>;rel=next", True),
        ('</a>; rel=prev; rel=next, </events?at=3&limit=3> ; REL = "NEXT"', True),
        ('</a>; rel="prev"', False),
        ("</a>", False),
        ("nonsense", False),
        ('</events?at=3&limit=3>; rel="next', False),
    ],
)
def test_link_headers_of_every_form(header: str, goes_on: bool) -> None:
    def answer(asked: Asked) -> Reply:
        start = int(asked.query.get("at", 0))
        return reply({"data": rows(start, start + 3)}, **({} if start else {"link": header}))

    with Hostile(answer) as server:
        assert ids(read(source(paging=LINK), server)) == list(range(6 if goes_on else 3))


# --- in circles


def test_looping_links_are_refused() -> None:
    circle = {"0": "/events?at=1", "1": "/events?at=2", "2": "/events?at=1"}

    def answer(asked: Asked) -> Reply:
        at = asked.query.get("at", "0")
        return reply({"data": rows(int(at), int(at) + 1), "links": {"next": circle[at]}})

    error = failure(source(paging=NEXT), answer)
    assert isinstance(error, StopRun)
    assert "looping link" in str(error)


@pytest.mark.parametrize("paging", [OFFSET, PAGE, {**PAGE, "pages": "pages"}, NEXT, {"type": "cursor", "next": "at"}])
def test_pages_that_repeat_the_same_records_are_refused(paging: dict[str, Any]) -> None:
    numbers = iter(range(100))

    def answer(asked: Asked) -> Reply:
        at = next(numbers)
        return reply({"data": rows(0, 3), "pages": 9, "at": at, "links": {"next": f"/events?at={at}"}})

    error = failure(source(paging=paging), answer)
    assert isinstance(error, StopRun)
    assert "the records are those of the page before" in str(error)


def test_a_few_pages_of_one_equal_record_are_believed() -> None:
    def answer(asked: Asked) -> Reply:
        at = int(asked.query.get("cursor", 0)) + 1
        return reply({"data": [{"id": 1}, {"id": 1}], "at": at if at < 8 else None})

    with Hostile(answer) as server:
        assert ids(read(source(paging={"type": "cursor", "next": "at"}), server)) == [1] * 16


@pytest.mark.parametrize("length", [1, 7, REMEMBERED - 1, REMEMBERED, REMEMBERED + 1, 2 * REMEMBERED + 7])
def test_circles_of_any_length_are_noticed(length: int) -> None:
    seen = Seen(None)
    for number in range(3 * REMEMBERED):
        assert not seen.again(-number - 1)
    noticed = next(number for number in range(8 * length + 8 * REMEMBERED) if seen.again(number % length))
    assert noticed >= length
    assert len(seen._known) <= REMEMBERED + 1


def test_records_above_a_limit_repeat_like_any_other() -> None:
    deep = "[" * 70 + "]" * 70

    def answer(asked: Asked) -> Reply:
        at = int(asked.query.get("cursor", 0))
        more = f', "at": {at + 1}' if at < 2 else ""
        return reply(f'{{"data": [{{"v": {deep}}}, {{"id": {at}}}]{more}}}')

    with Hostile(answer) as server:
        batches = read(source(paging={"type": "cursor", "next": "at"}), server)
    assert [type(record) for batch in batches for record in batch.records] == [Unreadable, dict] * 3


# --- several at once


@pytest.mark.parametrize("concurrency", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 3, 30, 31])
@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("kind", ["offset", "page"])
def test_many_at_once_come_in_order(concurrency: int, count: int, told: bool, kind: str) -> None:
    busy, most, lock = 0, 0, threading.Lock()

    def answer(asked: Asked) -> Reply:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        number = int(asked.query.get("offset", 0)) // 3 + int(asked.query.get("page", 0))
        time.sleep(0.002 * (7 - number % 7))  # later pages are faster
        with lock:
            busy -= 1
        plain = by_offset(count, total=count) if kind == "offset" else by_page(count, pages=-(-count // 3))
        return plain(asked)

    paging: dict[str, Any] = {"type": kind, "limit": 3}
    if told:
        paging |= {"total": "total"} if kind == "offset" else {"pages": "pages"}
    with Hostile(answer) as server:
        batches, error = together(server, source(paging=paging), concurrency)
    assert error is None
    assert ids(batches) == list(range(count))
    assert most <= concurrency
    if concurrency > 1 and count >= 30:
        assert most > 1
    if told:
        assert len(server.asked) == max(1, -(-count // 3))


def test_a_page_that_is_smaller_than_asked_for_in_the_middle_moves_those_behind_it() -> None:
    def answer(asked: Asked) -> Reply:
        start = int(asked.query["offset"])
        return reply({"data": rows(start, min(start + (2 if start == 6 else 3), 20)), "total": 20})

    with Hostile(answer) as server:
        batches, error = together(server, source(paging={**OFFSET, "total": "total"}), 5)
    assert error is None
    assert ids(batches) == list(range(20))
    assert [batch.cursor for batch in batches] == [3, 6, 8, 11, 14, 17, 20]


def test_a_page_that_fails_lets_those_before_it_through() -> None:
    def answer(asked: Asked) -> Reply:
        if int(asked.query["offset"]) == 12:
            return reply("no", 500)
        time.sleep(0.02)
        return by_offset(30, total=30)(asked)

    with Hostile(answer) as server:
        batches, error = together(server, source(paging={**OFFSET, "total": "total"}), 8)
    assert isinstance(error, RunFailed)
    assert ids(batches) == list(range(12))
    assert batches[-1].cursor == 12


def test_what_fails_behind_the_end_costs_nothing() -> None:
    def answer(asked: Asked) -> Reply:
        return by_offset(7)(asked) if int(asked.query["offset"]) < 7 else reply("behind the end", 404)

    with Hostile(answer) as server:
        batches, error = together(server, source(paging=OFFSET), 8)
    assert error is None
    assert ids(batches) == list(range(7))


def test_no_more_is_fetched_ahead_than_memory_allows_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_datahub.http.reading.AHEAD_BYTES", 3 * 40)

    async def first_pages(server: Hostile) -> int:
        run = replace(run_for(server), concurrency=10)
        given = source(paging={**OFFSET, "total": "total"})
        async with aclosing(cast("Any", given.read(run, None))) as batches:
            async for _ in batches:
                await asyncio.sleep(0.1)
                return len(server.asked)
        return 0

    with Hostile(by_offset(90, total=90)) as server:
        assert asyncio.run(first_pages(server)) in (2, 3, 4)


def test_an_empty_page_before_the_total_is_no_end_for_the_next_run() -> None:
    holes = {6}

    def answer(asked: Asked) -> Reply:
        start = int(asked.query["offset"])
        return reply({"data": [] if start in holes else rows(start, start + 3), "total": 12})

    given = source(paging={**OFFSET, "total": "total"})
    with Hostile(answer) as server:
        first = read(given, server)
        holes.clear()
        rest = read(given, server, first[-1].cursor)
    assert ids(first) + ids(rest) == list(range(12))


def test_a_stop_ends_all_requests() -> None:
    stopping = threading.Event()

    def answer(asked: Asked) -> Reply:
        return by_offset(90, total=90)(asked) if asked.query["offset"] == "0" else [9.0]

    async def collect(server: Hostile) -> int:
        run = replace(run_for(server, stopping, timeout=20), concurrency=5)
        batches = cast("Any", source(paging={**OFFSET, "total": "total"}).read(run, None))
        await anext(batches)
        asyncio.get_running_loop().call_later(0.2, stopping.set)
        with pytest.raises(Interrupted):
            await anext(batches)
        return len(asyncio.all_tasks()) - 1

    with Hostile(answer) as server:
        started = time.monotonic()
        assert asyncio.run(collect(server)) == 0
        assert time.monotonic() - started < 3


# --- broken twins: what these tests are worth


class Hasty(Reading):
    """Hands a page over as soon as it is there, whatever its turn."""

    async def pages(self, position: Any) -> AsyncGenerator[tuple[Any, Any]]:
        got = [each async for each in super().pages(position)]
        for each in [*got[:1], *reversed(got[1:])]:
            yield each


class Trusting(Reading):
    """Takes what was fetched ahead for what follows."""

    async def _go_on(self, position: Any) -> None:
        known = [other for other in self._under_way if isinstance(other, int)]
        if known and position not in self._under_way:
            self._under_way[position] = self._under_way.pop(min(known))
        await super()._go_on(position)


@pytest.mark.parametrize(
    ("twin", "check"),
    [
        (Hasty, lambda: test_many_at_once_come_in_order(5, 30, True, "offset")),
        (Trusting, test_a_page_that_is_smaller_than_asked_for_in_the_middle_moves_those_behind_it),
    ],
)
def test_a_broken_twin_is_noticed(
    monkeypatch: pytest.MonkeyPatch, twin: type[Reading], check: Callable[[], None]
) -> None:
    monkeypatch.setattr("airflow_datahub.http.reading.Reading", twin)
    with pytest.raises(AssertionError):
        check()


# --- a 404 behind the end


def gone_behind(count: int) -> Callable[[Asked], Reply]:
    """Pages of three by offset or number; behind the last there is nothing but a 404."""

    def answer(asked: Asked) -> Reply:
        first = int(asked.query.get("offset", 0)) or 3 * (int(asked.query.get("page", 1)) - 1)
        return reply({"data": rows(first, min(first + 3, count))}) if first < count else reply("no such page", 404)

    return answer


@pytest.mark.parametrize("paging", [OFFSET, PAGE])
@pytest.mark.parametrize("concurrency", [1, 5])
def test_a_404_behind_pages_with_records_is_the_end(paging: dict[str, Any], concurrency: int) -> None:
    with Hostile(gone_behind(6)) as server:
        batches, error = together(server, source(paging=paging), concurrency)
    assert (ids(batches), error) == (list(range(6)), None)


@pytest.mark.parametrize("concurrency", [1, 5])
@pytest.mark.parametrize("paging", [OFFSET, PAGE])
def test_a_404_in_front_of_pages_with_records_is_not_the_end(paging: dict[str, Any], concurrency: int) -> None:
    def answer(asked: Asked) -> Reply:
        first = int(asked.query.get("offset", (int(asked.query.get("page", 1)) - 1) * 3))
        return reply("lost on its way", 404) if first == 6 else gone_behind(24)(asked)

    with Hostile(answer) as server:
        batches, error = together(server, source(paging=paging), concurrency)
    assert ids(batches) == list(range(6))
    assert isinstance(error, RunFailed)
    assert "though a page behind it has records" in str(error)


@pytest.mark.parametrize(("paging", "behind"), [(OFFSET, 6), (PAGE, 3)])
def test_a_404_where_the_last_try_ended_is_not_the_end_in_front_of_records(paging: dict[str, Any], behind: int) -> None:
    def answer(asked: Asked) -> Reply:
        first = int(asked.query.get("offset", (int(asked.query.get("page", 1)) - 1) * 3))
        return reply("lost on its way", 404) if first == 6 else gone_behind(24)(asked)

    error = failure(source(paging=paging), answer, behind)
    assert isinstance(error, RunFailed)
    assert ("offset=9" in str(error)) or ("page=4" in str(error))


@pytest.mark.parametrize("begin", [None, 6])
def test_a_404_is_not_taken_for_the_end_where_the_page_behind_it_fails(begin: int | None) -> None:
    def answer(asked: Asked) -> Reply:
        first = int(asked.query.get("offset", 0))
        return reply("no", 403) if first > 6 else gone_behind(6)(asked)

    assert "HTTP 403" in str(failure(source(paging=OFFSET), answer, begin))


@pytest.mark.parametrize(("paging", "behind"), [(OFFSET, 6), (PAGE, 3)])
def test_a_404_where_the_last_run_ended_is_the_end_while_the_list_is_there(paging: dict[str, Any], behind: int) -> None:
    with Hostile(gone_behind(6)) as server:
        assert ids(read(source(paging=paging), server, behind)) == []
        server.answer = gone_behind(8)
        assert ids(read(source(paging=paging), server, behind)) == [6, 7]
    assert "HTTP 404" in str(failure(source(paging=paging), gone_behind(0), behind))


@pytest.mark.parametrize("paging", [OFFSET, PAGE])
def test_a_404_on_the_first_page_is_an_error(paging: dict[str, Any]) -> None:
    assert "HTTP 404" in str(failure(source(paging=paging), gone_behind(0)))


@pytest.mark.parametrize("paging", [{**OFFSET, "total": "total"}, {**PAGE, "pages": "total"}])
def test_a_404_before_the_end_that_the_api_tells_is_an_error(paging: dict[str, Any]) -> None:
    def answer(asked: Asked) -> Reply:
        later = asked.query.get("offset", "0") != "0" or asked.query.get("page", "1") != "1"
        return reply("no such page", 404) if later else reply({"data": rows(0, 3), "total": 9})

    assert "HTTP 404" in str(failure(source(paging=paging), answer))


# --- a 204


@pytest.mark.parametrize(
    "paging",
    [
        {"type": "none"},
        {**OFFSET, "total": "total"},
        PAGE,
        LINK,
        NEXT,
        {"type": "cursor", "next": "next", "more": "more", "limit": 3},
    ],
    ids=lambda paging: paging["type"],
)
@pytest.mark.parametrize("headers", [b"", b"content-encoding: gzip\r\n"])
def test_no_content_is_an_empty_page(paging: dict[str, Any], headers: bytes) -> None:
    with Hostile(lambda _: b"HTTP/1.1 204 No Content\r\n" + headers + b"\r\n") as server:
        assert ids(read(source(paging=paging), server)) == []
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("paging", "came", "behind"),
    [({**OFFSET, "total": "total"}, [0, 1, 2], 3), ({**PAGE, "pages": "pages"}, [0, 1, 2, 6, 7, 8], None)],
    ids=["offset", "page"],
)
def test_no_content_does_not_undo_what_the_api_told_of_its_end(
    paging: dict[str, Any], came: list[int], behind: int | None
) -> None:
    def answer(asked: Asked) -> Reply:
        first = int(asked.query.get("offset", 0)) or 3 * (int(asked.query.get("page", 1)) - 1)
        told = reply({"data": rows(first, first + 3), "total": 9, "pages": 3})
        return b"HTTP/1.1 204 No Content\r\n\r\n" if first == 3 else told

    with Hostile(answer) as server:
        batches = read(source(paging=paging), server)
    assert ids(batches) == came
    assert batches[-1].cursor == behind
    assert batches[-1].total == (9 if behind else None)


@pytest.mark.parametrize("paging", [LINK, NEXT])
def test_a_stored_link_to_where_the_api_no_longer_is_says_how_to_go_on(paging: dict[str, Any]) -> None:
    error = failure(source(paging=paging), by_link(8), "http://127.0.0.1:9/events?at=3&limit=3")
    assert isinstance(error, ConfigurationError)
    assert "the stored link: " in str(error)
    assert "leads to http://127.0.0.1:9 and not to http://127.0.0.1:" in str(error)
    assert "`airflow-datahub checkpoint reset`" in str(error)
    assert "`airflow-datahub run --full`" in str(error)
