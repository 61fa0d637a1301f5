from __future__ import annotations

import traceback
from dataclasses import replace

import pytest
from yarl import URL

from airflow_datahub.contract import Connection
from airflow_datahub.errors import ConfigurationError, RunFailed
from airflow_datahub.http.redirects import Trail, parsed, with_query
from tests.hostile import Asked, Hostile, Reply, reply
from tests.http.asking import SECRET, ask, connection, run_of


def moved(location: str, status: int = 302) -> bytes:
    return reply("", status, location=location)


def by_path(**replies: bytes) -> Hostile:
    return Hostile(lambda asked: replies[asked.path.strip("/")])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_within_the_connection_is_followed_with_its_credentials(status: int) -> None:
    with by_path(a=moved("/b?x=%2B", status), b=moved("c", status), c=reply({"ok": 1})) as server:
        ask(run_of(connection(server.port, password=SECRET, auth="api_key", param="key")), "a")
    assert [asked.query.get("key") for asked in server.asked] == [SECRET] * 3
    assert server.asked[1].target.startswith("/b?x=%2B&key=")


def test_credentials_go_nowhere_else() -> None:
    with Hostile(lambda _: reply({})) as other, by_path(a=moved(f"http://127.0.0.1:{other.port}/b")) as server:
        for given in ({"auth": "bearer"}, {"auth": "hmac"}, {"auth": "api_key"}, {"auth": "api_key", "param": "k"}):
            with pytest.raises(ConfigurationError, match="the credentials of a connection stay with its own"):
                ask(run_of(connection(server.port, password=SECRET, **given)), "a")
    assert other.connections == 0


def test_without_credentials_another_host_may_be_followed() -> None:
    with Hostile(lambda _: reply({})) as other, by_path(a=moved(f"http://127.0.0.1:{other.port}/b")) as server:
        assert ask(run_of(connection(server.port)), "a")[0].status == 200
    assert "authorization" not in other.asked[0].headers


def test_the_connections_leave_does_not_cover_other_internal_hosts() -> None:
    with by_path(a=moved("http://localhost:1/b")) as server, pytest.raises(ConfigurationError, match="internal addr"):
        ask(run_of(connection(server.port)), "a")


def test_five_are_followed_or_as_many_as_the_connection_says() -> None:
    def further(asked: Asked) -> Reply:
        step = int(asked.path.strip("/"))
        return moved(f"/{step + 1}") if step < 6 else reply({})

    with Hostile(further) as server:
        assert ask(run_of(connection(server.port)), "1")[0].status == 200
        with pytest.raises(ConfigurationError, match="after 5, which are allowed"):
            ask(run_of(connection(server.port)), "0")
        with pytest.raises(ConfigurationError, match="redirects are not followed here"):
            ask(run_of(connection(server.port, max_redirects=0)), "1")


@pytest.mark.parametrize(
    ("start", "location", "says"),
    [
        ("https://a.example/x", "http://a.example/x", "not encrypted"),
        ("https://a.example/x", "//b.example/x", "another scheme, host or port"),
        ("https://a.example/x", "https://a.example:444/x", "another scheme, host or port"),
        ("http://a.example/x", "https://a.example/x", "another scheme, host or port"),
        ("https://a.example/x", "/x#part", "in a circle"),
        ("https://a.example/x", "javascript:alert(1)", "not an address of http"),
        ("https://a.example/x", "https://me@a.example/y", "without a login"),
    ],
)
def test_what_is_not_followed(start: str, location: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        Trail(URL(start), 5, anonymous=False).follow(302, location)


@pytest.mark.parametrize("there", ["https://a.example/y", "https://a.example:443/y", "https://A.Example:0443/y", "/y"])
@pytest.mark.parametrize("here", ["https://a.example:443/x", "https://a.example/x"])
def test_a_port_that_goes_without_saying_may_be_said(here: str, there: str) -> None:
    assert Trail(URL(here), 5, anonymous=False).follow(302, there).path == "/y"


@pytest.mark.parametrize("link", ["http://api.invalid/b", "http://api.invalid:80/b", "http://API.invalid/b"])
def test_a_link_may_leave_out_the_port_that_its_scheme_has(link: str) -> None:
    """Where it leads is the connection's own host, which nobody finds."""
    with pytest.raises(RunFailed, match="cannot find the host"):
        ask(run_of(Connection("api", "http", "http://api.invalid", extra={"retries": 0})), link)


def test_links_are_kept_as_they_came() -> None:
    url = parsed("https://a.example/x?cursor=a%2Bb%3D%3D&q=1%2C2&f=%7E")
    assert str(with_query(url, [("q", "a b/ü")])) == "https://a.example/x?cursor=a%2Bb%3D%3D&f=%7E&q=a%20b%2F%C3%BC"


@pytest.mark.parametrize(
    "link", ["http://127.0.0.1:1/b", "https://127.0.0.1:{port}/b", "http://localhost:{port}/b", "ftp://x/y",
             "http://me:pw@127.0.0.1:{port}/b", "http://[::1"],
)  # fmt: skip
def test_a_link_leads_to_the_connection_or_nowhere(link: str) -> None:
    with Hostile(lambda _: reply({})) as server:
        run = run_of(connection(server.port, password=SECRET, auth="bearer"))
        with pytest.raises(ConfigurationError, match="connection 'api', address"):
            ask(run, link.format(port=server.port))
        assert server.connections == 0
        ask(run, f"http://127.0.0.1:{server.port}/b?cursor=%2Fx")
    assert server.asked[0].target == "/b?cursor=%2Fx"


def said(error: BaseException) -> str:
    """All that a log shows of it, with what caused it."""
    return "".join(traceback.format_exception(error))


@pytest.mark.parametrize("location", ["http://other.example/x?key={}", "/" + "y" * 164 + "{}", "ftp://x/{}"])
def test_a_key_that_a_redirect_repeats_is_not_shown(location: str) -> None:
    secret = "ABCDEFGH" * 4
    signed = connection(1, password=secret, auth="api_key", param="key", max_redirects=0)
    with Hostile(lambda _: moved(location.format(secret))) as server, pytest.raises(ConfigurationError) as caught:
        ask(run_of(replace(signed, port=server.port)), "a")
    assert "ABCD" not in said(caught.value)
