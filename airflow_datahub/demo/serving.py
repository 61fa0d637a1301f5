"""As much of an HTTP/1.1 server as a mock API needs: keep-alive, pipelining, bodies of known length, no copies.

A malformed request is answered with 400 and closes its connection; it never ends the server.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import cast
from urllib.parse import parse_qsl, unquote, urlsplit

HEAD_LIMIT = 64 * 1024
BODY_LIMIT = 1024 * 1024
Chunk = bytes | memoryview


@dataclass(frozen=True)
class Request:
    """What a client asks for; header names in lower case, the last of several query parameters of one name."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Response:
    """An answer; its body is the chunks one after the other."""

    status: int
    body: tuple[Chunk, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, status: int, value: object, headers: Mapping[str, str] | None = None) -> Response:
        """An answer whose body is this value."""
        return cls(status, (json.dumps(value).encode(),), headers or {})

    def chunks(self, *, close: bool) -> list[Chunk]:
        """What goes over the wire."""
        lines = [
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}",
            "Content-Type: application/json",
            f"Content-Length: {sum(map(len, self.body))}",
            *(f"{name}: {value}" for name, value in self.headers.items()),
            *(["Connection: close"] if close else []),
        ]
        return ["\r\n".join([*lines, "\r\n"]).encode("latin-1"), *self.body]


class BadRequest(ValueError):
    """The bytes are not a request that this server understands; the text says what is wrong."""


def parse(head: bytes) -> Request:
    """The request of a head, which is all before the empty line."""
    first, *lines = head.decode("latin-1").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1.") or not parts[1].startswith("/"):
        raise BadRequest("the request line must be `METHOD /path HTTP/1.1`")
    target = urlsplit(parts[1])
    return Request(parts[0], unquote(target.path), dict(parse_qsl(target.query)), headers(lines))


def headers(lines: list[str]) -> dict[str, str]:
    """Header lines by name."""
    pairs = [line.partition(":") for line in lines]
    if any(not colon or not name or name != name.strip() for name, colon, _ in pairs):
        raise BadRequest("a header line must be `Name: value`")
    return {name.lower(): value.strip() for name, _, value in pairs}


def body_length(request: Request) -> int:
    """Bytes of the request's body."""
    length = request.headers.get("content-length", "0")
    if "transfer-encoding" in request.headers or not (length.isascii() and length.isdigit()):
        raise BadRequest("a body must come with a Content-Length")
    if len(length) > 9 or int(length) > BODY_LIMIT:
        raise BadRequest(f"a body may have {BODY_LIMIT} bytes at most")
    return int(length)


class Connection(asyncio.Protocol):
    """One client. Answers leave in the order of the requests, each `latency` seconds after the one before it."""

    transport: asyncio.Transport

    def __init__(self, answer: Callable[[Request], Response], latency: float = 0):
        self.answer = answer
        self.latency = latency
        self.buffer = bytearray()
        self.waiting: deque[Request] = deque()
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exception: Exception | None) -> None:
        """Forget what is not answered yet."""
        if self.timer:
            self.timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Answer, or queue, every request that is complete."""
        self.buffer += data
        try:
            while (request := self.next_request()) and not self.transport.is_closing():
                self.receive(request)
        except ValueError as error:
            self.refuse(str(error))

    def next_request(self) -> Request | None:
        """Take the next complete request off the buffer."""
        end = self.buffer.find(b"\r\n\r\n", 0, HEAD_LIMIT)
        if end < 0:
            if len(self.buffer) >= HEAD_LIMIT:
                raise BadRequest(f"the head of a request may have {HEAD_LIMIT} bytes at most")
            return None
        request = parse(bytes(self.buffer[:end]))
        complete = end + 4 + body_length(request)
        if len(self.buffer) < complete:
            return None
        del self.buffer[:complete]
        return request

    def receive(self, request: Request) -> None:
        """Answer at once, or when the latency is over."""
        if not self.latency:
            self.send(request)
            return
        self.waiting.append(request)
        if len(self.waiting) == 1:
            self.wait()

    def wait(self) -> None:
        """Answer the first that waits when its time has come."""
        self.timer = asyncio.get_running_loop().call_later(self.latency, self.send_waiting)

    def send_waiting(self) -> None:
        """Answer the first that waits, begin the wait of the next."""
        self.send(self.waiting.popleft())
        if self.waiting:
            self.wait()

    def send(self, request: Request) -> None:
        """Answer one request."""
        close = request.headers.get("connection", "").lower() == "close"
        self.transport.writelines(self.answer(request).chunks(close=close))
        if close:
            self.transport.close()

    def refuse(self, reason: str) -> None:
        """Say what is wrong with the bytes that came, and hang up: nobody knows where the next request begins."""
        self.transport.writelines(Response.json(400, {"error": reason}).chunks(close=True))
        self.transport.close()
