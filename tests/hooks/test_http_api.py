from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from airflow.models.connection import Connection as AirflowConnection
from airflow.providers_manager import ProvidersManager
from airflow.sdk.log import _secrets_masker

from airflow_datahub.hooks.http_api import HttpApiHook
from airflow_datahub.operators.handover import connection
from tests.hostile import Hostile, reply

SECRET = "s3cr3t/key+1"


def given(monkeypatch: pytest.MonkeyPatch, host: str, **extra: Any) -> AirflowConnection:
    """A connection as Airflow's form stores it and its test button puts it into the environment."""
    untouched = {"param": None, "token_url": "", "timeout": None}
    fields = {"auth": "bearer", "allow_private": True, **untouched, **extra}
    made = AirflowConnection("made", conn_type="http-api", host=host, password=SECRET, extra=json.dumps(fields))
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
    assert SECRET not in message


def test_airflow_lists_the_type_with_its_fields_and_finds_the_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = ProvidersManager()
    fields = {name: form.field for name, form in manager.connection_form_widgets.items() if "http-api" in name}
    assert fields["extra__http-api__auth"]["schema"]["enum"][:3] == ["none", "api_key", "bearer"]
    assert fields["extra__http-api__refresh_token"]["schema"]["format"] == "password"
    assert fields["extra__http-api__allow_private"]["schema"] == {
        "type": "boolean", "default": False, "title": "Allow private",
    }  # fmt: skip
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
