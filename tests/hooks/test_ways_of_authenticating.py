"""Each way of authenticating that a connection knows, in each place that asks by it: test button, hook, `probe`."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from airflow_datahub.demo.mock_api import MockApi
from airflow_datahub.hooks.http_api import HttpApiHook
from airflow_datahub.http.extra import KINDS
from tests.hooks.test_http_api import SECRET, given
from tests.hostile import Asked, Hostile, Reply, reply
from tests.world import ROOT, http_connection

TOKEN = "t0ken/that+was-fetched"
BASIC = base64.b64encode(f"ann:{SECRET}".encode()).decode()
BY_TOKEN = f"Bearer {TOKEN}"

Proof = Callable[[Asked], bool]
WAYS: dict[str, tuple[dict[str, Any], Proof]] = {
    "none": ({"auth": "none"}, lambda asked: "authorization" not in asked.headers),
    "basic": ({"auth": "basic", "login": "ann"}, lambda asked: asked.headers.get("authorization") == f"Basic {BASIC}"),
    "bearer": ({"auth": "bearer"}, lambda asked: asked.headers.get("authorization") == f"Bearer {SECRET}"),
    "api_key": ({"auth": "api_key"}, lambda asked: asked.headers.get("x-api-key") == SECRET),
    "api_key in the query": ({"auth": "api_key", "param": "key"}, lambda asked: asked.query.get("key") == SECRET),
    "hmac": ({"auth": "hmac", "login": "ann"}, lambda asked: "date" in asked.headers and "ann" in str(asked.headers)),
    "oauth2": ({"auth": "oauth2", "login": "ann"}, lambda asked: asked.headers.get("authorization") == BY_TOKEN),
    "oauth2 by refresh token": (
        {"auth": "oauth2", "login": "ann", "refresh_token": "r3fresh/er+token"},
        lambda asked: asked.headers.get("authorization") == BY_TOKEN,
    ),
}


def test_no_way_is_forgotten() -> None:
    assert {way.partition(" ")[0] for way in WAYS} == set(KINDS)


@pytest.mark.parametrize("way", WAYS)
def test_it_serves_wherever_a_connection_is_asked(
    way: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    extra, proven = WAYS[way]

    def answer(asked: Asked) -> Reply:
        if asked.method == "POST":
            return reply({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600})
        if not proven(asked):
            return reply({"error": "who are you?"}, 401)
        return reply({"data": [{"id": 1, "echo": [SECRET, TOKEN]}], "you": dict(asked.headers)}, x_echo=SECRET)

    with Hostile(answer) as server:
        url = f"http://127.0.0.1:{server.port}"
        tokens = {"oauth_url": f"{url}/token"} if "oauth2" in way else {}
        given(monkeypatch, url, **extra, **tokens)
        good, message = HttpApiHook("made").test_connection()
        assert good, message
        assert HttpApiHook("made").run("/list")["data"][0]["id"] == 1
        probed = subprocess.run(
            [sys.executable, "-m", "airflow_datahub.cli", "probe", "made", "/list"],
            cwd=ROOT, capture_output=True, text=True,
        )  # fmt: skip
    assert probed.returncode == 0, probed.stdout + probed.stderr
    assert "records: 'data', a list of 1" in probed.stdout
    most = re.search(r"asks at most (\d+) request", probed.stdout)
    assert most
    assert len(server.asked) <= 2 * (1 + ("oauth2" in way)) + int(most[1])
    for text in (message, probed.stdout, probed.stderr):
        assert SECRET not in text
        assert TOKEN not in text


def test_the_python_of_the_page_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "http.md").read_text()
    (block,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    with MockApi(events=2_500) as api:
        monkeypatch.setenv("AIRFLOW_CONN_DATASYNC", http_connection(api, conn_type="http-api"))
        count = "    seen = [*globals().get('seen', ()), event]"
        names: dict[str, Any] = {}
        exec(block.replace("    ...", count).replace('"/status"', '"/events"'), names)
        assert len(names["seen"]) == api.stats()["events"]
    assert names["status"]["data"]
