"""Connections of type http-api in a real Airflow: their test and their form in a browser."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from airflow_datahub.hooks.form import LABELS
from tests.e2e.conftest import Deployment
from tests.hostile import Asked, Hostile, Reply, reply
from tests.http.test_pinning import certified

pytestmark = pytest.mark.airflow

SECRET = "s3cr3t/key+1"
FORMS = (SECRET, "s3cr3t%2Fkey%2B1", "s3cr3t%2Fkey+1", "czNjcjN0L2tleSsx")


def verdict(deployment: Deployment, host: str, password: str = SECRET, **extra: Any) -> tuple[bool, str]:
    """What Airflow's test of a connection says of it."""
    fields = {"auth": "bearer", "allow_private": True, "timeout": 3, **extra}
    given = {"connection_id": "tried", "conn_type": "http-api", "host": host, "login": "me", "password": password}
    answer = deployment.airflow.request("POST", "/connections/test", json=given | {"extra": json.dumps(fields)})
    return answer["status"], answer["message"]


def api(asked: Asked) -> Reply:
    """Takes the secret, and throws everything back that it was given."""
    if asked.path == "/token":
        return reply({"error": "expired", "you sent": [asked.headers.get("authorization"), asked.body.decode()]}, 400)
    good = asked.headers.get("authorization") == f"Bearer {SECRET}"
    return reply({"you sent": asked.headers}, 200 if good else 401)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with Hostile(api) as running:
        yield f"http://127.0.0.1:{running.port}"


def test_a_good_connection_is_told_by_what_was_asked_and_answered(deployment: Deployment, server: str) -> None:
    assert verdict(deployment, f"{server}/v1") == (True, f"GET {server}/v1: 200 OK")
    assert verdict(deployment, f"{server}/v1", test_path="/me") == (True, f"GET {server}/v1/me: 200 OK")


def test_what_is_wrong_is_told_with_what_to_do_and_never_with_the_secret(
    deployment: Deployment, server: str, tmp_path: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certified(tmp_path, "localhost"))
    oauth2 = {"auth": "oauth2", "oauth_url": f"{server}/token"}
    with Hostile(api, tls=context) as secure:
        said = {
            "check the credentials of this connection": verdict(deployment, server, "an0ther/key+1"),
            "cannot find the host 'nowhere.invalid'": verdict(deployment, "https://nowhere.invalid"),
            "cannot reach 127.0.0.1:1": verdict(deployment, "http://127.0.0.1:1"),
            "Allow private in Airflow's form": verdict(deployment, server, allow_private=False),
            "no token for this connection, check its login, password": verdict(deployment, server, **oauth2),
            "extra has no field 'retrys'; did you mean 'retries'": verdict(deployment, server, retrys=2),
            "certificate that is not trusted": verdict(deployment, f"https://localhost:{secure.port}"),
            "fewer than 8 characters": verdict(deployment, server, "sh0rt"),
            "'header' belongs to auth api_key or hmac, auth is bearer": verdict(deployment, server, header="X"),
            "auth oauth2 needs 'oauth_url'": verdict(deployment, server, auth="oauth2"),
        }
    for wanted, (good, message) in said.items():
        assert not good, message
        assert wanted in message
        assert not [form for form in (*FORMS, "an0ther", "sh0rt") if form in message], message


# --- the form


@pytest.fixture
def page(deployment: Deployment, browser: Browser) -> Page:
    """A browser that is logged in."""
    airflow = deployment.airflow
    context = browser.new_context(viewport={"width": 1360, "height": 2600})
    context.add_cookies([{"name": "_token", "value": airflow.token(), "url": airflow.url}])
    context.set_default_timeout(90_000)
    expect.set_options(timeout=90_000)
    page = context.new_page()
    page.goto(f"{airflow.url}/connections", wait_until="domcontentloaded")
    return page


def opened(page: Page, button: str) -> Locator:
    """The form behind a button."""
    page.get_by_role("button", name=button).first.click()
    return page.get_by_role("dialog")


def chosen(form: Locator, field: str, typed: str) -> None:
    """Take the first of a list's entries that fits what is typed."""
    form.locator(field).press_sequentially(typed)
    form.page.get_by_role("option", name=typed).first.wait_for()
    form.page.keyboard.press("Enter")


def test_a_connection_made_in_the_form_is_tested_and_kept_secret(deployment: Deployment, page: Page) -> None:
    form = opened(page, "Add Connection")
    form.get_by_label("Connection ID").fill("formed")
    chosen(form, "[role=combobox] >> nth=0", "HTTP API")
    form.get_by_label("Address").fill(f"{deployment.api.url}/api/v1")
    form.get_by_label("Password, key").fill(deployment.api.api_key)
    form.get_by_label("Port").fill(str(deployment.api.port))
    form.get_by_text("Extra Fields", exact=True).click()
    expect(form.get_by_text("Token address", exact=True)).to_be_visible()
    shown = form.inner_text()
    assert [label for label in LABELS.values() if label not in shown] == []
    chosen(form, "#element_auth [role=combobox]", "API key")
    form.locator("#element_header").fill("X-API-Key")
    form.locator("#element_test_path").fill("/events")
    form.locator("[name=element_allow_private]").locator("..").click()
    form.get_by_role("button", name="Save").click()
    expect(form).to_be_hidden()

    page.get_by_role("button", name="Test Connection").first.click()
    expect(page.get_by_text("/api/v1/events: 200 OK")).to_be_visible()

    form = opened(page, "Edit Connection")
    form.get_by_text("Extra Fields", exact=True).click()
    expect(form.locator("#element_header")).to_have_value("X-API-Key")
    assert deployment.api.api_key not in page.content()

    kept = deployment.airflow.get("/connections/formed")
    fields = {name: value for name, value in json.loads(kept["extra"]).items() if value is not None}
    assert fields == {
        "auth": "api_key", "header": "X-API-Key", "test_path": "/events", "allow_private": True, "verify": True,
    }  # fmt: skip
    assert kept["password"] == "***"
