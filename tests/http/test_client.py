"""The client against a server that does everything wrong."""

from __future__ import annotations

import asyncio
import base64
import gzip
import random
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_datahub.contract import Connection, Run
from airflow_datahub.errors import ConfigurationError, Interrupted, RetryLater, RunError, RunFailed
from airflow_datahub.http.body import body_of
from airflow_datahub.http.client import Answer, Client
from airflow_datahub.http.limits import Limits
from tests.hostile import Asked, Close, Hostile, Reply, Reset, reply

SECRET = "s3cr3t/key+1"
FAST = {"allow_private": True, "retry_delay": 0.01, "timeout": 0.5, "retries": 2}


def connection(port: int, password: str | None = None, **extra: Any) -> Connection:
    return Connection("api", "http", host="127.0.0.1", port=port, password=password, extra={**FAST, **extra})


def get(
    given: Connection,
    path: str = "/events",
    query: dict[str, Any] | None = None,
    stopping: threading.Event | None = None,
) -> tuple[Answer, int]:
    run = Run(pipeline="p", run_id="r", connections=lambda _: given, stopping=stopping or threading.Event())

    async def ask() -> tuple[Answer, int]:
        async with Client("api", run) as client:
            return await client.get(path, query or {}, lambda answer: answer)

    return asyncio.run(ask())


def in_turn(*replies: Reply) -> Callable[[Asked], Reply]:
    """The last one again and again."""
    left = list(replies)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def once(*replies: Reply, **extra: Any) -> tuple[Answer, int]:
    with Hostile(in_turn(*replies)) as server:
        return get(connection(server.port, **extra))


def failure(*replies: Reply, **extra: Any) -> tuple[RunError, Hostile]:
    with Hostile(in_turn(*replies)) as server, pytest.raises(RunError) as caught:
        get(connection(server.port, **extra))
    return caught.value, server


def test_it_asks_with_query_agent_and_keeps_the_connection() -> None:
    with Hostile(lambda asked: reply({"ok": True})) as server:
        run = Run(pipeline="p", run_id="r", connections=lambda _: connection(server.port, base_path="v1/"))

        async def ask() -> bytes:
            async with Client("api", run) as client:
                for _ in range(3):
                    answer, retries = await client.get("/a b", {"x": "ü&", "n": 1, "b": True, "l": [1, 2]}, lambda a: a)
                assert retries == 0
                return bytes(answer.body)

        assert asyncio.run(ask()) == b'{"ok": true}'
    assert server.connections == 1
    assert server.asked[0].target == "/v1/a%20b?x=%C3%BC%26&n=1&b=true&l=1&l=2"
    assert server.asked[0].headers["user-agent"].startswith("airflow-datahub/")
    assert server.asked[0].headers["accept-encoding"] == "gzip, deflate"
    assert server.asked[0].headers["host"] == f"127.0.0.1:{server.port}"


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert once(reply({}))[0].status == 200


@pytest.mark.parametrize(
    ("extra", "login", "header", "value"),
    [
        ({"auth": "api_key"}, None, "x-api-key", SECRET),
        ({"auth": "api_key", "header": "Token"}, None, "token", SECRET),
        ({"auth": "bearer"}, None, "authorization", f"Bearer {SECRET}"),
        ({"auth": "basic"}, "me", "authorization", "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode()),
        ({}, "me", "authorization", "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode()),
        ({"auth": "none"}, None, "authorization", None),
    ],
)
def test_it_signs(extra: dict[str, Any], login: str | None, header: str, value: str | None) -> None:
    with Hostile(lambda _: reply({})) as server:
        get(Connection("api", "http", "127.0.0.1", login, SECRET, port=server.port, extra={**FAST, **extra}))
    assert server.asked[0].headers.get(header) == value


def test_a_key_in_the_query_is_sent_and_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    def echo(asked: Asked) -> Reply:
        return reply({"error": f"no such thing: {asked.target} {SECRET}"}, status=404)

    with caplog.at_level("DEBUG"), Hostile(echo) as server, pytest.raises(ConfigurationError) as caught:
        get(connection(server.port, SECRET, auth="api_key", param="key"), query={"a": 1})
    assert server.asked[0].query == {"a": "1", "key": SECRET}
    assert "/events?a=1" in str(caught.value)
    for text in (str(caught.value), caplog.text):
        assert "s3cr3t" not in text


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_server_errors_are_retried(status: int) -> None:
    answer, retries = once(reply("no", status), reply("no", status), reply({"ok": 1}))
    assert bytes(answer.body) == b'{"ok": 1}'
    assert retries == 2


def test_it_gives_up_and_says_what_was_tried() -> None:
    error, server = failure(reply("no", 503))
    assert isinstance(error, RunFailed)
    assert len(server.asked) == 3
    assert f"GET http://127.0.0.1:{server.port}/events: HTTP 503 Service Unavailable; gave up after 3 tries" in str(
        error
    )


@pytest.mark.parametrize(("status", "says"), [(401, "check the credentials of connection 'api'"), (404, "/events")])
def test_other_refusals_fail_at_once(status: int, says: str) -> None:
    error, server = failure(reply("what\x00 is ü\n" + "x" * 999, status))
    assert isinstance(error, ConfigurationError)
    assert len(server.asked) == 1
    assert says in str(error)
    assert r"what\x00 is ü\n" in str(error)
    assert len(str(error)) < 500


# --- broken and slow


def cut(content: bytes, at: int) -> list[Any]:
    return [reply(content)[: at - len(content)], Close]


GZIPPED = gzip.compress(b'{"a": "' + b"0123456789" * 500 + b'"}')
GZIP_HEAD = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n"


def test_gzip_of_several_members_is_unpacked() -> None:
    two = gzip.compress(b"[1,") + gzip.compress(b"2]")
    assert bytes(once(reply(two, content_encoding="gzip"))[0].body) == b"[1,2]"


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (cut(b"x" * 100, 50), "broke"),
        ([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel", Close], "broke"),
        ([reply(b"x" * 100)[:-50], Reset], "broke"),
        (reply(GZIPPED[: len(GZIPPED) // 2], content_encoding="gzip"), "ends in the middle"),
        ([GZIP_HEAD + b"connection: close\r\n\r\n" + GZIPPED[:-1], Close], "ends in the middle"),
        (reply(GZIPPED[:-5] + b"12345", content_encoding="gzip"), "gzip body is broken"),
        ([Close], "broke"),
        ([Reset], "broke"),
        ([b"nonsense\r\n\r\n", Close], "broke"),
        ([b"HTTP/1.1 200 OK\r\nx: " + b"y" * 300_000 + b"\r\n\r\n"], "broke"),
        ([0.6], "no"),
        ([reply(b"x" * 100)[:-50], 0.6], "no"),
    ],
)
def test_a_broken_body_is_asked_for_again(broken: Reply, says: str) -> None:
    assert bytes(once(broken, reply(b"whole"))[0].body) == b"whole"
    error, server = failure(broken, retries=1)
    assert isinstance(error, RunFailed)
    assert len(server.asked) == 2
    assert says in str(error)


def test_a_slow_drip_meets_the_deadline() -> None:
    def drip(_: Asked) -> Iterator[bytes | float]:
        yield b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"
        for _byte in range(1000):
            yield b"x"
            yield 0.02

    started = time.monotonic()
    with Hostile(drip) as server, pytest.raises(RunFailed, match=r"no whole answer within 0\.5 s"):
        get(connection(server.port, retries=0))
    assert time.monotonic() - started < 1.5


def test_a_bomb_is_refused() -> None:
    error, server = failure(reply(gzip.compress(b"0" * 30_000_000), content_encoding="gzip"), timeout=5)
    assert isinstance(error, ConfigurationError)
    assert "unpacks to more than 8 MiB" in str(error)
    error, server = failure(reply(b"0" * (2**20 + 1)), timeout=5, max_body=2**20)
    assert "announces 1,048,577 bytes; it may have 1 MiB ('max_body'" in str(error)
    assert len(server.asked) == 1


def test_a_bomb_below_the_ratio_is_refused_before_it_has_filled_the_memory() -> None:
    packer, body = zlib.compressobj(9, zlib.DEFLATED, 31), body_of("gzip", 3_000_000, Limits())
    parts = (packer.compress(random.Random(number).randbytes(700) + bytes(69_300)) for number in range(2000))
    with pytest.raises(ConfigurationError, match=r"more than 64 MiB .*'max_unannounced'"):
        list(map(body.feed, filter(None, parts)))
    assert len(body.content) <= 64 * 2**20 + 1


def test_an_unknown_encoding_is_refused() -> None:
    assert "'br'" in str(failure(reply(b"x", content_encoding="br"))[0])


def test_an_unreachable_host_is_named() -> None:
    with Hostile(lambda _: b"") as server:
        pass
    with pytest.raises(RunFailed, match=rf"cannot reach 127\.0\.0\.1:{server.port} \(connection 'api'\).*3 tries"):
        get(connection(server.port))
    nowhere = Connection("api", "http", "nowhere.invalid", extra={**FAST, "timeout": 5})
    with pytest.raises(RunFailed, match=r"cannot find the host 'nowhere\.invalid' \(connection 'api'\)"):
        get(nowhere)


def test_an_untrusted_certificate_is_not_retried(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_self_signed(tmp_path))
    with Hostile(lambda _: reply({}), tls=context) as server:
        given = Connection("api", "http", "https://127.0.0.1", port=server.port, extra={**FAST, "timeout": 5})
        with pytest.raises(ConfigurationError, match="not trusted"):
            get(given)
    assert server.connections == 1


def _self_signed(folder: Path) -> str:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    file = folder / "both.pem"
    file.write_bytes(pem)
    return str(file)


# --- asked to wait


def test_retry_after_is_obeyed_and_costs_no_retry() -> None:
    started = time.monotonic()
    busy = [reply("", 429, retry_after="1"), *[reply("", 429) for _ in range(4)]]
    answer, retries = once(*busy, reply({}), retries=0)
    assert answer.status == 200
    assert retries == 5
    assert time.monotonic() - started >= 1


def test_retry_after_as_a_date_counts_from_the_servers_clock() -> None:
    theirs = datetime.now(UTC) + timedelta(days=3)
    dates = {"date": format_datetime(theirs, True), "retry_after": format_datetime(theirs + timedelta(seconds=1), True)}
    started = time.monotonic()
    assert once(reply("", 503, **dates), reply({}), retries=0)[1] == 1
    assert 1 <= time.monotonic() - started < 3


@pytest.mark.parametrize("bad", ["soon", "-5", "nan", "1e400", "Wed, 99 Foo 2024 99:99:99 GMT", "", "0"])
def test_a_bad_retry_after_falls_back(bad: str) -> None:
    started = time.monotonic()
    assert once(reply("", 429, retry_after=bad), reply({}), retries=0)[1] == 1
    assert time.monotonic() - started < 1


def test_a_long_wait_is_handed_on() -> None:
    error, server = failure(reply("", 429, retry_after="9999"))
    assert isinstance(error, RetryLater)
    assert error.delay == 9999
    assert len(server.asked) == 1
    error, _ = failure(reply("", 503, retry_after="9" * 30))
    assert isinstance(error, RetryLater)
    assert error.delay == 86_400


# --- stopping


@pytest.mark.parametrize(
    "waiting",
    [
        [5.0],
        [b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n", b"x", 5.0],
        reply("", 429, retry_after="60"),
        reply("", 500),
    ],
    ids=["answer", "body", "retry-after", "backoff"],
)
def test_a_stop_ends_every_wait(waiting: Reply) -> None:
    stopping = threading.Event()
    with Hostile(lambda _: waiting) as server:
        given = connection(server.port, timeout=20, retry_delay=60, retries=20)
        threading.Timer(0.3, stopping.set).start()
        started = time.monotonic()
        with pytest.raises(Interrupted):
            get(given, stopping=stopping)
    assert 0.2 < time.monotonic() - started < 1


def test_nothing_is_asked_after_a_stop() -> None:
    stopping = threading.Event()
    stopping.set()
    with Hostile(lambda _: reply({})) as server, pytest.raises(Interrupted):
        get(connection(server.port), stopping=stopping)
    assert server.asked == []


# --- addresses


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "http://[::1]", "2130706433", "http://[::ffff:127.0.0.1]"])
def test_an_internal_address_is_refused(host: str) -> None:
    with Hostile(lambda _: reply({})) as server:
        given = Connection("api", "http", host, port=server.port, extra={})
        with pytest.raises(ConfigurationError, match=r"connection 'api'.*internal address.*\"allow_private\": true"):
            get(given)
    assert server.connections == 0
