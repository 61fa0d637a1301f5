from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from airflow_datahub.demo.mock_api import MockApi
from airflow_datahub.demo.serving import BODY_LIMIT, HEAD_LIMIT, BadRequest, parse


@pytest.fixture(scope="module")
def api() -> Iterator[MockApi]:
    with MockApi(events=50) as running:
        yield running


def exchange(api: MockApi, sent: bytes) -> bytes:
    """Send the bytes, give all that comes back until the server hangs up (or says nothing for a second)."""
    with socket.create_connection(("127.0.0.1", api.port), timeout=1) as client:
        client.sendall(sent)
        received = b""
        try:
            while chunk := client.recv(65536):
                received += chunk
        except (TimeoutError, ConnectionResetError):
            pass
        return received


CLOSE = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def test_parse() -> None:
    request = parse(b"GET /a%20b?x=1&y=%C3%A4&x=2 HTTP/1.1\r\nHost: h\r\nX-API-Key:  k ")
    assert (request.method, request.path) == ("GET", "/a b")
    assert request.query == {"x": "2", "y": "ä"}
    assert request.headers == {"host": "h", "x-api-key": "k"}


@pytest.mark.parametrize(
    "head",
    [b"", b"GET", b"GET /", b"GET / FTP/1.1", b"GET x HTTP/1.1", b"GET / HTTP/1.1 x", b"GET / HTTP/1.1\r\nnonsense",
     b"GET / HTTP/1.1\r\n: empty", b"GET / HTTP/1.1\r\n folded: x", b"\x16\x03\x01\x02"],
)  # fmt: skip
def test_parse_refuses(head: bytes) -> None:
    with pytest.raises(BadRequest, match="must be"):
        parse(head)


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\n\r\n",
        b"GET //[x HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
        b"POST /reset HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /reset HTTP/1.1\r\nContent-Length: \xb2\r\n\r\n",
        b"POST /reset HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (BODY_LIMIT + 1),
        b"POST /reset HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"POST /reset HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * HEAD_LIMIT,
    ],
)
def test_malformed_requests_get_400_and_the_server_goes_on(api: MockApi, sent: bytes) -> None:
    assert exchange(api, sent).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert exchange(api, CLOSE).startswith(b"HTTP/1.1 200 OK\r\n")


def test_what_follows_a_malformed_request_is_not_answered(api: MockApi) -> None:
    assert exchange(api, b"nonsense\r\n\r\n" + CLOSE).count(b"HTTP/1.1 ") == 1


def test_pipelined_requests_are_answered_in_order(api: MockApi) -> None:
    asked = b"GET /health HTTP/1.1\r\n\r\nGET /nope HTTP/1.1\r\n\r\n" + CLOSE
    answers = exchange(api, asked).split(b"HTTP/1.1 ")[1:]
    assert [answer[:3] for answer in answers] == [b"200", b"404", b"200"]


def test_a_request_may_come_in_pieces(api: MockApi) -> None:
    with socket.create_connection(("127.0.0.1", api.port), timeout=2) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for place in range(0, len(CLOSE), 20):
            client.sendall(CLOSE[place : place + 20])
        assert client.recv(100).startswith(b"HTTP/1.1 200 OK")


def test_a_body_is_not_the_next_request(api: MockApi) -> None:
    body = b"GET /nope HTTP/1.1\r\n\r\n"
    answer = exchange(api, b"POST /reset HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body + CLOSE)
    assert answer.count(b"HTTP/1.1 200") == 2
    assert b"404" not in answer


def test_a_client_that_leaves_early_harms_nobody(api: MockApi) -> None:
    for _ in range(5):
        socket.create_connection(("127.0.0.1", api.port)).close()
    exchange(api, b"GET /health HTT")
    assert exchange(api, CLOSE).startswith(b"HTTP/1.1 200 OK")


def test_waiting_answers_keep_their_order_and_do_not_hold_up_other_clients() -> None:
    with MockApi(events=5, latency=0.1) as slow:
        asked = b"GET /health HTTP/1.1\r\n\r\nGET /nope HTTP/1.1\r\n\r\n" + CLOSE
        answers = exchange(slow, asked).split(b"HTTP/1.1 ")[1:]
        assert [answer[:3] for answer in answers] == [b"200", b"404", b"200"]
