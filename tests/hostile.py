"""An HTTP server on loopback that answers with whatever bytes a test wants, as slowly and brokenly as it wants."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit


class Reset:
    """In place of bytes: end the connection with a TCP reset."""


class Close:
    """In place of bytes: end the connection."""


Reply = bytes | Iterable[bytes | float | type[Reset] | type[Close]]
"""Raw bytes, or a script of bytes to send and seconds to wait."""


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    target: str
    headers: dict[str, str]
    method: str = "GET"
    body: bytes = field(default=b"", repr=False)

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))


def reply(body: bytes | str | Any, status: int = 200, **headers: str) -> bytes:
    """A whole response; what is neither bytes nor text goes as JSON. `retry_after="1"` becomes Retry-After."""
    if not isinstance(body, bytes | str):
        body, headers = json.dumps(body), {"content_type": "application/json", **headers}
    content = body.encode() if isinstance(body, str) else body
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    head = "\r\n".join([f"HTTP/1.1 {status} Some Reason", f"content-length: {len(content)}", *lines])
    return head.encode() + b"\r\n\r\n" + content


@dataclass
class Hostile:
    """Runs while its context is open; `asked` lists every request."""

    answer: Callable[[Asked], Reply]
    tls: ssl.SSLContext | None = None
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    host: str = "127.0.0.1"

    def __enter__(self) -> Hostile:
        self._ended = threading.Event()
        self._listener = socket.create_server((self.host, self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):
            connection = self.tls.wrap_socket(connection, server_side=True) if self.tls else connection
        with connection, contextlib.suppress(OSError), connection.makefile("rb") as stream:
            while head := _head(stream):
                self.asked.append(head)
                given = self.answer(head)
                for step in [given] if isinstance(given, bytes) else given:
                    if not self._perform(step, connection):
                        return

    def _perform(self, step: bytes | float | type, connection: socket.socket) -> bool:
        if isinstance(step, bytes):
            connection.sendall(step)
        elif isinstance(step, int | float):
            return not self._ended.wait(step)
        else:
            if step is Reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                connection.shutdown(socket.SHUT_RDWR)
            return False
        return True


def _head(stream: Any) -> Asked | None:
    first = stream.readline().decode("latin-1").split(" ")
    if len(first) != 3:
        return None
    lines: Iterator[str] = iter(lambda: stream.readline().decode("latin-1").strip(), "")
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    return Asked(first[1], headers, first[0], stream.read(int(headers.get("content-length", 0))))
