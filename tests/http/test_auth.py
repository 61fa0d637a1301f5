from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs

import pytest

from airflow_datahub.errors import ConfigurationError, RunError, RunFailed
from tests.hostile import Asked, Hostile, Reply, reply
from tests.http.asking import SECRET, ask, connection, run_of


def signature(text: str) -> bytes:
    return hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).digest()


def test_hmac_signs_what_the_server_sees() -> None:
    with Hostile(lambda _: reply({})) as server:
        given = connection(server.port, login="me", password=SECRET, auth="hmac")
        ask(run_of(given), "events?b=2&a=%2F")
    asked = server.asked[0]
    empty = hashlib.sha256(b"").hexdigest()
    expected = signature(f"GET\n/events\nb=2&a=%2F\n{asked.headers['date']}\n{empty}").hex()
    assert asked.headers["authorization"] == f"HMAC-SHA256 me:{expected}"


def test_hmac_in_a_form_of_ones_own() -> None:
    extra = {
        "auth": "hmac", "sign": "{timestamp}.{method}.{host}{path}", "signature": "v1={signature},id={login}",
        "encoding": "base64", "header": "X-Signature", "timestamp_header": "X-Time", "date_header": "X-Date",
    }  # fmt: skip
    with Hostile(lambda _: reply({})) as server:
        ask(run_of(connection(server.port, login="me", password=SECRET, **extra)), "events")
    headers = server.asked[0].headers
    expected = signature(f"{headers['x-time']}.GET.127.0.0.1:{server.port}/events")
    assert headers["x-signature"] == f"v1={base64.b64encode(expected).decode()},id=me"
    assert "GMT" in headers["x-date"]
    assert "authorization" not in headers


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"auth": "hmac"}, "has no password"),
        ({"auth": "hmac", "password": "x", "sign": "{body}"}, "extra 'sign': {body} is not known; there are"),
        ({"auth": "hmac", "password": "x", "sign": "{signature}"}, "{signature} is not known"),
        ({"auth": "hmac", "password": "x", "encoding": "hexx"}, "extra 'encoding'"),
        ({"auth": "bearer", "password": "x", "sign": "{path}"}, "'sign' belongs to auth hmac, auth is bearer"),
        ({"auth": "oauth2", "login": "me", "password": "x"}, "needs 'oauth_url'"),
        ({"auth": "oauth2", "password": "x", "oauth_url": "https://x/t"}, "has no login"),
        ({"auth": "oauth2", "login": "me", "oauth_url": "https://x/t"}, "has no password"),
        ({"auth": "oauth2", "login": "me", "password": "x", "oauth_url": "ftp://x/t"}, "'oauth_url': 'ftp://x/t' is"),
        ({"auth": "none", "oauth_url": "https://x/t"}, "'oauth_url' belongs to auth oauth2, auth is none"),
    ],
)
def test_mistakes_in_the_extra_are_named(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ask(run_of(connection(1, **given)), "events")
    assert says in str(caught.value)


# --- OAuth 2


@dataclass
class Issuer:
    """Gives tokens at /token and takes only the last one elsewhere."""

    lifetime: Any = 3600
    token: Callable[[int], Reply] | None = None
    forms: list[dict[str, str]] = field(default_factory=list)
    heads: list[dict[str, str]] = field(default_factory=list)
    revoked: int = 0

    def __call__(self, asked: Asked) -> Reply:
        if asked.path == "/token":
            return self.issue(asked)
        fresh = asked.headers.get("authorization") == f"Bearer t0ken-{len(self.forms)}"
        if not fresh or self.revoked >= len(self.forms):
            return reply({"error": f"bad token {asked.headers.get('authorization')}"}, 401)
        return reply({"ok": True})

    def issue(self, asked: Asked) -> Reply:
        assert asked.method == "POST"
        self.forms.append({name: values[0] for name, values in parse_qs(asked.body.decode()).items()})
        self.heads.append(asked.headers)
        count = len(self.forms)
        if self.token:
            return self.token(count)
        answer = {"access_token": f"t0ken-{count}", "refresh_token": f"r3fresh-{count}", "expires_in": self.lifetime}
        return reply(answer)


def of(server: Hostile, **changes: Any) -> Any:
    given = {"login": "client", "password": SECRET, "auth": "oauth2"} | changes
    return connection(server.port, oauth_url=f"http://127.0.0.1:{server.port}/token", **given)


def test_a_token_is_fetched_once_for_all_clients_of_a_run() -> None:
    issuer = Issuer()
    with Hostile(issuer) as server:
        run = run_of(of(server, scope="read", audience="https://api"))
        ask(run, *["events"] * 6, at_once=True)
        ask(run, "events")
    assert issuer.forms == [{"grant_type": "client_credentials", "scope": "read", "audience": "https://api"}]
    assert issuer.heads[0]["authorization"] == "Basic " + base64.b64encode(b"client:s3cr3t%2Fkey%2B1").decode()


def test_the_clients_secret_may_go_in_the_body() -> None:
    issuer = Issuer()
    with Hostile(issuer) as server:
        ask(run_of(of(server, client_auth="body")), "events")
    assert issuer.forms[0]["client_secret"] == SECRET
    assert "authorization" not in issuer.heads[0]


def test_a_token_is_renewed_when_it_expires() -> None:
    issuer = Issuer(lifetime="3600")
    with Hostile(issuer) as server:
        run = run_of(of(server))
        ask(run, "events")
        run.kept["http:api"].target.signer._until = 0
        ask(run, "events")
    assert len(issuer.forms) == 2


def test_a_token_that_is_refused_is_renewed_once_and_costs_no_retry() -> None:
    issuer = Issuer(revoked=1)
    with Hostile(issuer) as server:
        ask(run_of(of(server, retries=0)), "events", "events")
    assert len(issuer.forms) == 2
    always = Issuer(revoked=99)
    with (
        Hostile(always) as server,
        pytest.raises(ConfigurationError, match=r"401 Unauthorized.*check the cred") as caught,
    ):
        ask(run_of(of(server)), "events")
    assert len(always.forms) == 2
    assert "t0ken" not in str(caught.value)


def test_a_refresh_token_is_followed_by_the_next_one() -> None:
    issuer = Issuer()
    with Hostile(issuer) as server:
        run = run_of(of(server, password=None, refresh_token="r3fresh-0"))
        ask(run, "events")
        issuer.revoked = 1
        ask(run, "events")
    names = [(form["grant_type"], form["refresh_token"], form["client_id"]) for form in issuer.forms]
    assert names == [("refresh_token", "r3fresh-0", "client"), ("refresh_token", "r3fresh-1", "client")]


@pytest.mark.parametrize(
    ("token", "error", "says"),
    [
        (reply({"error": "invalid_client", "error_description": SECRET}, 401), ConfigurationError, "invalid_client"),
        (reply({"error": "invalid_grant"}, 400), ConfigurationError, "no token for connection 'api'"),
        (reply({"token": "x"}), ConfigurationError, "has no 'access_token'"),
        (reply({"access_token": "a\r\nb: c"}), ConfigurationError, "has no 'access_token'"),
        (reply({"access_token": None}), ConfigurationError, "has no 'access_token'"),
        (reply("<html>"), RunFailed, "is not JSON"),
        (reply("no", 503), RunFailed, "503"),
        (reply("", 302, location="http://127.0.0.1/elsewhere"), ConfigurationError, "302"),
        ([5.0], RunFailed, "no whole answer"),
    ],
)
def test_a_token_that_is_not_to_be_had(token: Reply, error: type[RunError], says: str) -> None:
    with Hostile(Issuer(token=lambda _: token)) as server, pytest.raises(error) as caught:
        ask(run_of(of(server, timeout=0.5)), "events")
    assert says in str(caught.value)
    assert "s3cr3t" not in str(caught.value)
    assert not [asked for asked in server.asked if asked.path != "/token"]


def test_a_token_address_inside_is_refused_without_leave() -> None:
    with Hostile(Issuer()) as server, pytest.raises(ConfigurationError, match="internal address"):
        ask(run_of(of(server, allow_private=False)), "events")
    assert server.connections == 0


def test_a_secret_is_not_shown_in_part() -> None:
    secret = "ABCDEFGH" * 4
    with Hostile(lambda _: reply("z" * 180 + secret, 400)) as server, pytest.raises(ConfigurationError) as caught:
        ask(run_of(replace(of(server), password=secret)), "events")
    assert "ABCD" not in str(caught.value)


def test_no_secret_is_in_what_is_said() -> None:
    issuer = Issuer()

    def echo(asked: Asked) -> Reply:
        if asked.path == "/token":
            return issuer(asked)
        seen = asked.headers["authorization"].removeprefix("Bearer ")
        forms = [seen, base64.b64encode(seen.encode()).decode(), SECRET, "r3fresh-0", json.dumps(SECRET)]
        return reply({"seen": forms}, 404)

    with Hostile(echo) as server, pytest.raises(ConfigurationError) as caught:
        ask(run_of(of(server, refresh_token="r3fresh-0")), "events")
    for secret in ("t0ken", "r3fresh-0", "s3cr3t", base64.b64encode(b"t0ken-1").decode()):
        assert secret not in str(caught.value)
    assert str(caught.value).count("***") == 5
