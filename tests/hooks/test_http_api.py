from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.models.connection import Connection as AirflowConnection
from airflow.providers_manager import ProvidersManager
from airflow.sdk.log import _secrets_masker

from airflow_datahub.demo.mock_api import MockApi
from airflow_datahub.errors import ConfigurationError, RunFailed
from airflow_datahub.hooks.http_api import HttpApiHook
from airflow_datahub.http.extra import KINDS
from airflow_datahub.operators.handover import connection
from tests.hostile import Asked, Hostile, Reply, reply
from tests.world import http_connection

SECRET = "s3cr3t/key+1"


def given(monkeypatch: pytest.MonkeyPatch, host: str, **extra: Any) -> AirflowConnection:
    """A connection as Airflow's form stores it and its test button puts it into the environment."""
    untouched = {"param": None, "oauth_url": "", "timeout": None}
    fields = {"auth": "bearer", "allow_private": True, **untouched, **extra}
    login = fields.pop("login", None)
    made = AirflowConnection(
        "made", conn_type="http-api", host=host, login=login, password=SECRET, extra=json.dumps(fields)
    )
    monkeypatch.setenv("AIRFLOW_CONN_MADE", made.as_json())
    return made


@pytest.mark.parametrize(
    ("status", "good", "says"),
    [
        (200, True, "200 OK"),
        (404, True, "404 Not Found; the API is there, but"),
        (401, False, "check the credentials"),
        (403, False, "check the credentials"),
        (503, False, "503"),
        (429, False, "429"),
    ],
)
def test_the_button_asks_once_and_says_what_came(
    monkeypatch: pytest.MonkeyPatch, status: int, good: bool, says: str
) -> None:
    with Hostile(lambda asked: reply({"you sent": asked.headers["authorization"]}, status)) as server:
        given(monkeypatch, f"http://127.0.0.1:{server.port}")
        result, message = HttpApiHook("made").test_connection()
    assert result is good
    assert says in message
    assert SECRET not in message
    assert [asked.headers["authorization"] for asked in server.asked] == [f"Bearer {SECRET}"]


@pytest.mark.parametrize(
    ("host", "extra", "says"),
    [
        ("http://127.0.0.1:1", {"allow_private": False}, '"allow_private": true into the extra'),
        ("http://nowhere.invalid", {}, "nowhere.invalid"),
        ("http://127.0.0.1:1", {}, "127.0.0.1:1"),
        ("http://127.0.0.1:1", {"auth": "bearre"}, "did you mean 'bearer'"),
    ],
)
def test_the_button_says_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, host: str, extra: dict[str, Any], says: str
) -> None:
    given(monkeypatch, host, **extra)
    good, message = HttpApiHook("made").test_connection()
    assert not good
    assert says in message
    assert "'made'" not in message  # the form tests under an id that it has made up
    assert SECRET not in message


def test_the_button_asks_the_path_that_is_given_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with Hostile(lambda asked: reply({}, 200 if asked.path == "/v1/me" else 404)) as server:
        given(monkeypatch, f"http://127.0.0.1:{server.port}/v1", test_path="/me")
        assert HttpApiHook("made").test_connection()[1].endswith("/v1/me: 200 OK")
        given(monkeypatch, f"http://127.0.0.1:{server.port}/v1")
        assert "Give 'test_path' a path that answers" in HttpApiHook("made").test_connection()[1]
    assert [asked.path for asked in server.asked] == ["/v1/me", "/v1"]


def test_airflow_lists_the_type_with_its_fields_and_finds_the_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = ProvidersManager()
    fields = {name: form.field for name, form in manager.connection_form_widgets.items() if "http-api" in name}
    assert fields["extra__http-api__auth"]["schema"]["enum"][1:] == list(KINDS)
    assert fields["extra__http-api__auth"]["schema"]["values_display"].keys() == {"null", *KINDS}
    assert fields["extra__http-api__refresh_token"]["schema"]["format"] == "password"
    assert fields["extra__http-api__allow_private"]["schema"] == {
        "type": "boolean", "default": False, "title": "Allow private",
    }  # fmt: skip
    assert fields["extra__http-api__timeout"]["description"].endswith("last byte; 10 by default.")
    assert manager.field_behaviours["http-api"]["hidden_fields"] == ["schema"]
    with Hostile(lambda _: reply({})) as server:
        good, message = given(monkeypatch, f"http://127.0.0.1:{server.port}").test_connection()
    assert good, message


def test_airflows_logs_mask_every_form_of_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, "http://127.0.0.1:1", refresh_token="r3fresh/er")
    connection("made")
    packed = [base64.b64encode(text.encode()).decode() for text in (SECRET, f":{SECRET}")]
    text = " ".join([SECRET, "s3cr3t%2Fkey%2B1", "r3fresh/er", "r3fresh%2Fer", *packed])
    shown = str(_secrets_masker().redact(text))
    assert shown.replace("=", "") == " ".join(["***"] * 6)


# --- in hand-written code


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[MockApi]:
    """25 events behind the connection `made`."""
    with MockApi(events=25) as server:
        monkeypatch.setenv("AIRFLOW_CONN_MADE", http_connection(server))
        yield server


PAGES = {"records": "data", "paging": {"type": "cursor", "param": "cursor", "next": "nextCursor", "limit": 10}}


def test_one_answer_and_all_records_of_a_list(api: MockApi) -> None:
    hook = HttpApiHook("made")
    page = hook.run("/events", {"limit": 3})
    assert len(page["data"]) == 3
    records = list(hook.records("/events", **PAGES))
    assert len({record["id"] for record in records}) == api.stats()["unique"]
    assert records[:3] == page["data"]


def test_a_hook_asks_for_its_token_once_and_keeps_to_the_rate_over_all_that_it_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def answer(asked: Asked) -> Reply:
        return reply({"access_token": "t0ken-0123456789", "expires_in": 60} if asked.path == "/token" else {"a": 1})

    with Hostile(answer) as server:
        address = f"http://127.0.0.1:{server.port}"
        given(monkeypatch, address, auth="oauth2", login="me", oauth_url=f"{address}/token", rate_limit=10)
        hook, started = HttpApiHook("made"), time.monotonic()
        assert [hook.run("x") for _ in range(4)] == [{"a": 1}] * 4
    assert time.monotonic() - started >= 0.3
    assert [asked.path for asked in server.asked].count("/token") == 1


def test_records_that_nobody_wants_any_more_are_not_asked_for(api: MockApi) -> None:
    for record in HttpApiHook("made").records("/events", **PAGES | {"paging": PAGES["paging"] | {"limit": 1}}):
        assert record["id"]
        break
    asked = api.stats()["requests"]
    assert asked < 12
    time.sleep(0.2)
    assert api.stats()["requests"] == asked


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (reply("<html>log in</html>"), ConfigurationError, "the answer is not JSON"),
        (reply({"error": SECRET}, 404), ConfigurationError, "404 Not Found"),
        (reply({}, 503), RunFailed, "503 Service Unavailable"),
    ],
)
def test_what_cannot_be_had_is_an_error(
    monkeypatch: pytest.MonkeyPatch, answer: Reply, error: type[Exception], says: str
) -> None:
    with Hostile(lambda _: answer) as server:
        given(monkeypatch, f"http://127.0.0.1:{server.port}", retries=0)
        with pytest.raises(error, match=says) as caught:
            HttpApiHook("made").run("x")
        with pytest.raises(error):
            list(HttpApiHook("made").records("x"))
    assert SECRET not in str(caught.value)


def test_records_that_are_none_and_fields_that_are_wrong_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with Hostile(lambda _: reply([{"a": 1}, 5])) as server:
        given(monkeypatch, f"http://127.0.0.1:{server.port}")
        with pytest.raises(RunFailed, match="no JSON object that can be read: '5'"):
            list(HttpApiHook("made").records("x"))
        with pytest.raises(ConfigurationError, match="pagin: Extra inputs are not permitted"):
            HttpApiHook("made").records("x", pagin={})
