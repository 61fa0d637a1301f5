"""`probe`: never more requests than it announced, and a clear text for whatever comes back."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_datahub.demo.mock_api import MockApi
from airflow_datahub.spec import load
from tests.cli.conftest import Call
from tests.hostile import Asked, Close, Hostile, Reply, Reset, reply
from tests.world import EVENTS, ROOT, http_connection

SECRET = "s3cr3t/key+1"
TOKEN = "t0ken-that-was-fetched"
PAGE = {"data": [{"id": "a", "at": "2024-01-15T09:50:00Z", "user": {"name": None}}, {"id": 2}], "nextCursor": "c"}


def connect(monkeypatch: pytest.MonkeyPatch, server: Hostile, **extra: Any) -> None:
    given = {"allow_private": True, "auth": "api_key", "retries": 3, "retry_delay": 0.01, **extra}
    text: dict[str, Any] = {
        "conn_type": "http",
        "host": f"http://127.0.0.1:{server.port}/v1",
        "password": SECRET,
        "extra": given,
    }
    text |= {"login": "client"} if extra.get("auth") == "oauth2" else {}
    monkeypatch.setenv("AIRFLOW_CONN_API", json.dumps(text))


def test_it_proposes_the_paging_that_the_events_pipeline_uses(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = tmp_path / "new_events.yaml"
    with MockApi(events=3000, max_limit=1000, rate_limit=100) as api:
        monkeypatch.setenv("AIRFLOW_CONN_DATASYNC", http_connection(api))
        code, said = call("probe", "datasync", "/events", "--try", "sizes", "--write", spec)
        requests = api.stats()["requests"]
    events, proposed = (load(path, {}).extract.source.model_dump() for path in (EVENTS, spec))
    assert (code, requests) == (0, 3), said
    assert proposed == events | {"query": {}}
    assert "asks at most 3 requests" in said
    assert "rate limit: 99 of 100 requests left" in said


def test_the_command_of_the_documentation(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "http.md").read_text()
    line = next(line for line in page.splitlines() if line.startswith("airflow-datahub probe "))
    monkeypatch.chdir(tmp_path)
    Path("pipelines").mkdir()
    with MockApi(events=3000) as api:
        monkeypatch.setenv("AIRFLOW_CONN_DATASYNC", http_connection(api, extra={"allow_private": True}))
        code, said = call(*shlex.split(line)[1:])
        statuses = api.stats()["statuses"]
    assert (code, statuses) == (0, {"200": 3, "401": 2}), said
    assert load(Path("pipelines", "datasync_events.yaml")).extract.key == "extract"


def test_it_announces_before_it_asks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    output, seen = tmp_path / "output", []

    def answer(asked: Asked) -> Reply:
        seen.append(output.read_text())
        return reply(PAGE)

    with Hostile(answer) as server, output.open("wb") as to:
        connect(monkeypatch, server)
        command = [sys.executable, "-m", "airflow_datahub.cli", "probe", "api", "/events"]
        assert subprocess.run(command, cwd=ROOT, stdout=to, timeout=60).returncode == 0
        port = server.port
    assert seen == [f"asks at most 1 request of connection 'api':\n  GET http://127.0.0.1:{port}/v1/events?limit=5\n"]


LINES = b'{"id": 1}\n{"id": 2}\n'
BAD: dict[str, tuple[Reply, str]] = {
    "html": (reply("<html>Log in</html>", content_type="text/html"), "the answer is HTML or XML and not JSON"),
    "401": (reply({"error": "no"}, 401), "check the credentials of connection 'api'"),
    "404": (reply({"error": "no"}, 404), "HTTP 404 Not Found"),
    "429": (reply({}, 429, retry_after="1"), "nothing more is asked"),
    "500": (reply({}, 500), "HTTP 500 Internal Server Error"),
    "redirect": (reply("", 302, location="/v1/other"), "redirects are not followed here"),
    "elsewhere": (reply("", 302, location="http://example.com/"), "the credentials of a connection stay with its own"),
    "ndjson": (reply(LINES, content_type="application/x-ndjson"), "one JSON value a line (NDJSON)"),
    "text": (reply("pong \x1b[2J", content_type="text/plain"), "the answer is not JSON (it says 'text/plain')"),
    "empty": (reply(""), "the answer is empty"),
    "half": (reply('{"data": ['), "the answer is not JSON"),
    "deep": (reply("[" * 100_000), "the answer is not JSON"),
    "object": (reply({"id": 1, "name": "a"}), "no list of records: it is an object with 'id', 'name'"),
    "number": (reply(5), "it is a single value"),
    "reset": ([Reset], "gave up after 1 try"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_learnt_from(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str) -> None:
    answer, text = BAD[kind]
    with Hostile(lambda _: answer) as server:
        connect(monkeypatch, server)
        code, said = call("probe", "api", "/events", "--write", tmp_path / "x.yaml")
    assert code == 1, said
    assert text in said
    assert "\x1b" not in said
    assert len(server.asked) == 1
    assert not (tmp_path / "x.yaml").exists()


GOOD = {
    "bare": ([{"id": 1}, {"id": 2, "no": None}], "records: the answer itself, a list of 2"),
    "nested": ({"meta": {"tags": ["a"]}, "response": {"items": [{"id": 1}]}}, "records: 'response.items', a list of 1"),
    "no records": ({"data": [], "nextCursor": None}, "it is empty: nothing is known of its fields"),
    "null share": (PAGE, "id: text | integer\n"),
    "date": (PAGE, "at: text (a date), 50% null or missing"),
    "null or object": ([{"a": None}, {"a": {"b": 1}}], "list of 2\n  a.b: integer, 50% null or missing\n"),
    "wide": ([{f"f{number}": None for number in range(5000)}], "  … and 4,900 more fields"),
    "inside": (PAGE, "user.name: null, 100% null or missing"),
}


@pytest.mark.parametrize("kind", GOOD)
def test_the_shape(call: Call, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    answer, text = GOOD[kind]
    with Hostile(lambda _: reply(answer, set_cookie="a=secret", x_echo=SECRET)) as server:
        connect(monkeypatch, server)
        code, said = call("probe", "api", "/events")
    assert code == 0, said
    assert text in said
    assert "set-cookie: ***" in said
    assert "x-echo: ***" in said
    assert [secret for secret in ("secret", SECRET) if secret in said] == []
    assert len(server.asked) == 1


def test_ways_of_authenticating(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(asked: Asked) -> Reply:
        return reply(PAGE) if asked.headers.get("authorization") == f"Bearer {SECRET}" else reply({}, 401)

    with Hostile(answer) as server:
        connect(monkeypatch, server, auth=None)
        code, said = call("probe", "api", "/events", "--try", "auth", "--try", "paths=/a,/b")
    carried = [
        (a.headers.get("x-api-key"), a.headers.get("authorization"), a.query.get("api_key")) for a in server.asked
    ]
    bearer = (None, f"Bearer {SECRET}", None)
    assert carried == [(SECRET, None, None), bearer, (None, None, SECRET), bearer, bearer]
    assert [asked.path for asked in server.asked][3:] == ["/v1/a", "/v1/b"]
    assert code == 0
    assert "asks at most 5 requests" in said
    assert "authentication: Authorization: Bearer; for the extra: {'auth': 'bearer'}" in said
    assert "s3cr3t" not in said


def test_no_way_works_so_nothing_else_is_asked(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    with Hostile(lambda _: reply({}, 401)) as server:
        connect(monkeypatch, server)
        code, said = call("probe", "api", "/events", "--try", "auth", "--try", "sizes")
    assert (code, len(server.asked)) == (1, 3), said


def test_a_quota_that_is_used_up_ends_it(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    spent = reply(PAGE, x_ratelimit_remaining="0", x_ratelimit_reset="60")
    with Hostile(lambda _: spent) as server:
        connect(monkeypatch, server)
        code, said = call("probe", "api", "/events", "--try", "sizes")
    assert (code, len(server.asked)) == (0, 1), said
    assert "the API wants a pause: nothing more is asked" in said


def test_tokens_are_counted(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(asked: Asked) -> Reply:
        return reply({"access_token": "t", "expires_in": 60}) if asked.method == "POST" else reply({}, 401)

    with Hostile(answer) as server:
        connect(monkeypatch, server, auth="oauth2", oauth_url=f"http://127.0.0.1:{server.port}/token")
        code, said = call("probe", "api", "/events")
    assert code == 1
    assert "asks at most 4 requests" in said
    assert len(server.asked) == 4


def test_a_token_and_the_question_are_sent_once_each(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that ends kept connections under the next request gets it once more from a client that keeps them."""

    def answer(asked: Asked) -> Reply:
        if asked.method == "POST":
            return reply({"access_token": TOKEN, "expires_in": 60})
        return reply(PAGE) if asked.headers.get("connection") == "close" else [Close]

    with Hostile(answer) as server:
        connect(monkeypatch, server, auth="oauth2", oauth_url=f"http://127.0.0.1:{server.port}/token")
        code, said = call("probe", "api", "/events")
    assert code == 0, said
    assert [asked.method for asked in server.asked] == ["POST", "GET"]


ECHOES: dict[str, Any] = {
    "records": {SECRET: [{"id": 1}]},
    "fields": [{SECRET: 1, TOKEN: {"of": TOKEN}}],
    "paging": {"data": [{"id": 1}], "next" + SECRET: {"nextCursor": "c"}},
    "no list": {SECRET: 1, TOKEN: 2},
    "no JSON": f"<p>{SECRET} {TOKEN}</p>",
    "refused": f"{SECRET} {TOKEN}",
}


@pytest.mark.parametrize("kind", ECHOES)
def test_nothing_that_it_tells_or_writes_holds_a_secret(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    echoed = reply(ECHOES[kind], 400 if kind == "refused" else 200, x_echo=TOKEN, **{f"x-{TOKEN}": SECRET})

    def answer(asked: Asked) -> Reply:
        return reply({"access_token": TOKEN, "expires_in": 60}) if asked.method == "POST" else echoed

    with Hostile(answer) as server:
        connect(monkeypatch, server, auth="oauth2", oauth_url=f"http://127.0.0.1:{server.port}/token")
        _, said = call("probe", "api", "/events", "--try", "sizes", "--write", tmp_path / "spec.yaml")
    written = "".join(path.read_text() for path in tmp_path.iterdir())
    assert "***" in said
    assert [secret for secret in (SECRET, TOKEN) if secret in said + written] == []


@pytest.mark.parametrize(
    "arguments",
    [["/e", "--query", "api_key=other/s3cret"], ["/e?access_token=other/s3cret"], ["/e", "--query", f"k={SECRET}"]],
)
def test_a_secret_of_the_call_is_sent_and_neither_told_nor_written(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str]
) -> None:
    with Hostile(lambda asked: reply({**PAGE, "you": asked.target})) as server:
        connect(monkeypatch, server)
        assert call("probe", "api", *arguments)[0] == 0
        code, said = call("probe", "api", *arguments, "--write", tmp_path / "spec.yaml")
    assert code == 1
    assert "stays as it is, as the lines above hold a secret" in said
    assert [secret for secret in (SECRET, "s3cret") if secret in said] == []
    assert {"other/s3cret", SECRET} & set(server.asked[0].query.values())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [["/e", "--try", "size"], ["//evil/e"], ["http://evil/e"], ["/e", "--query", "x"],
     ["/e", "--try", "sizes", "--size-param", ""], ["/e", "--try", "paths=//evil"]],
)  # fmt: skip
def test_a_wrong_call_asks_nothing(call: Call, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    with Hostile(lambda _: reply(PAGE)) as server:
        connect(monkeypatch, server)
        assert call("probe", "api", *arguments)[0] == 2
    assert server.asked == []


def test_what_cannot_be_written_is_printed(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(EVENTS.read_text())
    with Hostile(lambda _: reply(PAGE)) as server:
        connect(monkeypatch, server)
        code, said = call("probe", "api", "/e", "--query", "a=b", "--write", tmp_path / "other.yaml")
    assert code == 1
    assert (
        "\nquery: {a: b}\nrecords: data\npaging: {type: cursor, param: cursor, next: nextCursor, limit: 100}\n" in said
    )
    assert "stays as it is; put the lines above into it by hand" in said
    assert (tmp_path / "other.yaml").read_text() == EVENTS.read_text()
