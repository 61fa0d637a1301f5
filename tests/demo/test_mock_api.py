from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from airflow_datahub.demo.events import BEGIN
from airflow_datahub.demo.mock_api import Api, MockApi, Settings, make_cursor, options
from airflow_datahub.demo.serving import Request, Response
from airflow_datahub.errors import ConfigurationError, RunFailed

COUNT = 2500
KEY = {"x-api-key": "demo-key"}


@pytest.fixture(scope="module")
def api() -> Iterator[MockApi]:
    with MockApi(events=COUNT) as running:
        yield running


@pytest.fixture
def client(api: MockApi) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{api.url}/api/v1", headers=KEY, trust_env=False) as opened:
        yield opened


def ask(api: Api, key: str = "demo-key", **query: object) -> Response:
    texts = {name: str(value) for name, value in query.items()}
    return api.answer(Request("GET", "/api/v1/events", texts, {"x-api-key": key}))


def body(response: Response) -> dict[str, Any]:
    return dict(json.loads(b"".join(response.body)))


def test_cursors_lead_through_all_events(api: MockApi, client: httpx.Client) -> None:
    api.reset()
    records, query, pages = [], {"limit": "700"}, 0
    while True:
        page = client.get("/events", params=query).json()
        assert set(page) == {"data", "hasMore", "nextCursor"}
        records += page["data"]
        pages += 1
        assert page["hasMore"] == (page["nextCursor"] is not None)
        if not page["hasMore"]:
            break
        query["cursor"] = page["nextCursor"]
    stats = api.stats()
    assert (len(records), pages) == (COUNT, 4)
    assert stats["unique"] == len({record["id"] for record in records}) < COUNT
    assert (stats["events"], stats["requests"], stats["served"]) == (COUNT, 4, COUNT)
    assert stats["statuses"] == {"200": 4}


def test_offsets_give_the_same_pages(client: httpx.Client) -> None:
    first = client.get("/events", params={"limit": 10}).json()
    by_cursor = client.get("/events", params={"limit": 10, "cursor": first["nextCursor"]})
    assert client.get("/events", params={"limit": 10, "offset": 10}).content == by_cursor.content


def test_the_end_is_an_empty_page(client: httpx.Client) -> None:
    for offset in (COUNT, COUNT + 1000):
        page = client.get("/events", params={"offset": offset}).json()
        assert page == {"data": [], "hasMore": False, "nextCursor": None}


def test_a_hundred_records_are_a_page_unless_it_says_otherwise(client: httpx.Client) -> None:
    assert len(client.get("/events").json()["data"]) == 100


def test_limit_is_kept_within_its_bounds() -> None:
    api = Api(Settings(events=50, max_limit=20))
    assert len(body(ask(api, limit=1000))["data"]) == 20
    assert len(body(ask(api, limit=-3))["data"]) == 1


def test_total() -> None:
    assert body(ask(Api(Settings(events=50, total=True)), limit=1))["total"] == 50


@pytest.mark.parametrize(
    "since", ["2026-01-01T00:01:00Z", "2026-01-01T01:01:00+01:00", "2026-01-01T00:01:00", str(BEGIN + 60)]
)
def test_since(since: str) -> None:
    api = Api(Settings(events=50))
    assert b"".join(ask(api, since=since, limit=5).body) == b"".join(ask(api, offset=20, limit=5).body)


def test_until_is_where_paging_ends() -> None:
    api = Api(Settings(events=100))
    window = {"since": BEGIN + 60, "until": BEGIN + 90}
    first = body(ask(api, **window, limit=6))
    assert (len(first["data"]), first["hasMore"]) == (6, True)
    last = body(ask(api, **window, limit=6, cursor=first["nextCursor"]))
    assert (len(last["data"]), last["hasMore"], last["nextCursor"]) == (4, False, None)
    assert body(ask(api, since=BEGIN + 90, until=BEGIN + 60))["data"] == []


def test_since_is_only_where_paging_begins() -> None:
    api = Api(Settings(events=50))
    cursor = body(ask(api, since=BEGIN + 60, limit=5))["nextCursor"]
    following = ask(api, since=BEGIN + 60, limit=5, cursor=cursor)
    assert b"".join(following.body) == b"".join(ask(api, offset=25, limit=5).body)


@pytest.mark.parametrize("headers", [{}, {"x-api-key": "wrong"}, {"x-api-key": ""}, {"authorization": "demo-key"}])
def test_no_events_without_the_key(api: MockApi, headers: dict[str, str]) -> None:
    answer = httpx.get(f"{api.url}/api/v1/events", headers=headers, trust_env=False)
    assert answer.status_code == 401
    assert "data" not in answer.json()


@pytest.mark.parametrize(
    "query",
    [{"limit": "x"}, {"limit": "1e3"}, {"offset": "x"}, {"cursor": "!"}, {"cursor": "äöü"}, {"cursor": "YWJj"},
     {"cursor": "LTE6MA"}, {"cursor": "A"}, {"since": "junk"}, {"since": "nan"}, {"since": "inf"},
     {"limit": "9" * 5000}],
)  # fmt: skip
def test_bad_parameters_get_400(client: httpx.Client, query: dict[str, str]) -> None:
    answer = client.get("/events", params=query)
    assert answer.status_code == 400
    assert "bad limit, offset, cursor, since or until" in answer.json()["error"]
    assert client.get("/events").status_code == 200


def test_other_routes(api: MockApi) -> None:
    with httpx.Client(base_url=api.url, trust_env=False) as client:
        assert client.get("/health").json() == {"status": "ok"}
        assert client.get("/nope").status_code == 404
        assert client.post("/api/v1/events", json={}).status_code == 405
        assert client.get("/reset").status_code == 405


def test_rate_limit_seconds() -> None:
    api = Api(Settings(events=50, rate_limit=2, rate_window=30))
    first, second, third = (ask(api) for _ in range(3))
    assert [response.status for response in (first, second, third)] == [200, 200, 429]
    assert [response.headers["X-RateLimit-Remaining"] for response in (first, second, third)] == ["1", "0", "0"]
    assert first.headers["X-RateLimit-Limit"] == "2"
    assert 28 <= int(first.headers["X-RateLimit-Reset"]) - time.time() <= 31
    assert third.headers["Retry-After"] == "30"
    assert "Retry-After" not in second.headers
    assert api.stats()["statuses"] == {"200": 2, "429": 1}


def test_rate_limit_date() -> None:
    api = Api(Settings(events=50, rate_limit=1, rate_window=30, retry_after="date"))
    ask(api)
    wait = parsedate_to_datetime(ask(api).headers["Retry-After"]) - datetime.now(UTC)
    assert 28 <= wait.total_seconds() <= 31


def test_rate_limit_ends_with_its_window() -> None:
    api = Api(Settings(events=50, rate_limit=1, rate_window=0.05))
    assert [ask(api).status, ask(api).status] == [200, 429]
    time.sleep(0.06)
    assert ask(api).status == 200


def statuses(api: Api) -> list[int]:
    return [ask(api, limit=1).status for _ in range(400)]


def test_errors_are_random_and_repeatable() -> None:
    api = Api(Settings(events=10, errors=0.3))
    first = statuses(api)
    assert set(first) == {200, 500, 502, 503}
    assert 60 < 400 - first.count(200) < 180
    api.reset()
    assert api.stats()["requests"] == 0
    assert statuses(api) == first
    assert statuses(Api(Settings(events=10, errors=0.3, seed=8))) != first


def test_cursors_expire() -> None:
    api = Api(Settings(events=50, cursor_life=100))
    fresh = body(ask(api, limit=5))["nextCursor"]
    assert ask(api, cursor=fresh).status == 200
    assert ask(api, cursor=make_cursor(5, time.time() - 101)).status == 410


def test_poison_is_served() -> None:
    api = Api(Settings(events=500, poison=0.1))
    assert any(not isinstance(record, dict) for record in body(ask(api, limit=500))["data"])
    assert api.stats()["poisonous"] > 10


def test_latency() -> None:
    with MockApi(events=5, latency=0.2) as slow:
        started = time.monotonic()
        httpx.get(f"{slow.url}/health", trust_env=False)
        assert time.monotonic() - started >= 0.2


def test_options_of_the_command_line() -> None:
    assert options([]) == Settings()
    given = options(["--events=5", "--total=true", "--retry-after=date", "--rate-limit=3", "--errors=0.5"])
    assert given == Settings(events=5, total=True, retry_after="date", rate_limit=3, errors=0.5)


@pytest.mark.parametrize(
    "argument",
    [
        "--total=maybe",
        "--events=many",
        "--nope=1",
        "--errors=1.5",
        "--poison=-0.1",
        "--retry-after=later",
        "--events=-1",
    ],
)
def test_options_refuse_what_makes_no_sense(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options([argument])
    assert argument[2:].partition("=")[0].replace("-", "_") in capsys.readouterr().err.replace("-", "_")


def test_settings_refuse_what_makes_no_sense() -> None:
    with pytest.raises(ConfigurationError, match="errors of the mock API is 2, and must be a share from 0 to 1"):
        MockApi(errors=2)


def test_a_taken_port_is_said(api: MockApi) -> None:
    with pytest.raises(RunFailed, match=r"the mock API did not start: (?s:.*)address already in use"):
        MockApi(port=api.port, events=1).start()


def test_stopping_ends_the_process() -> None:
    api = MockApi(events=5).start()
    api.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{api.url}/health", trust_env=False)


def test_it_ends_with_its_parent(until: Callable[[Callable[[], bool]], None]) -> None:
    program = "from airflow_datahub.demo.mock_api import MockApi; import time\n"
    program += "with MockApi(events=5) as api: print(api.url, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        url = parent.stdout.readline().strip()
        assert httpx.get(f"{url}/health", trust_env=False).status_code == 200
        os.kill(parent.pid, signal.SIGKILL)
        until(lambda: not answers(url))


def answers(url: str) -> bool:
    try:
        httpx.get(f"{url}/health", trust_env=False)
        return True
    except httpx.HTTPError:
        return False
