"""A TCP proxy between a program and a server, which delays answers and loses connections at chosen moments."""

from __future__ import annotations

import random
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, Self

How = Literal["before", "after", "silent"]


@dataclass
class Loss:
    """A connection that will be lost."""

    mark: bytes
    how: How
    nth: int = 1
    """Which of the requests that hold the mark it is, counted from 1 over all connections."""
    met: int = 0
    happened: threading.Event = field(default_factory=threading.Event)


class Proxy:
    """Listens on a loopback port and passes everything on, until told otherwise.

    `lose` waits for bytes from a client and loses that connection once: before the server gets them, or after the
    server has answered, without the answer; `silent` keeps the connection open then, and says nothing on it any more.
    """

    def __init__(self, port: int, host: str = "127.0.0.1"):
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        self._losses: list[Loss] = []
        self.refusing = False
        """New connections are closed at once."""
        self.delay = 0.0
        """Seconds that each piece of an answer waits at most; how long each waits is left to chance."""
        self.connections = 0
        """How many there have been."""
        self.lost = 0
        """Connections that were lost by `lose`."""
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._listener.getsockname()[1]
        return port

    def lose(self, mark: bytes, how: How, nth: int = 1) -> Loss:
        """Lose a connection whose client sends `mark`; the `nth` time that one does."""
        loss = Loss(mark, how, nth)
        with self._lock:
            self._losses.append(loss)
        return loss

    def cut(self) -> None:
        """Cut all connections."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            _close(*pair)

    def close(self) -> None:
        """End it."""
        self.refusing = True
        self._listener.close()
        self.cut()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.refusing:
                    client.close()
                else:
                    threading.Thread(target=self._connect, args=[client], daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._target, 5)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        with self._lock:
            self._pairs.append((client, server))
            self.connections += 1
        losing: list[Loss] = []
        threading.Thread(target=self._answers, args=[server, client, losing], daemon=True).start()
        if self._requests(client, server, losing):
            _close(client, server)

    def _requests(self, client: socket.socket, server: socket.socket, losing: list[Loss]) -> bool:
        """Pass on what the client says; whether the connection has ended with that."""
        tail = b""
        with suppress(OSError):
            while chunk := client.recv(65536):
                loss, tail = self._met(tail, chunk), chunk[-64:]
                if loss and loss.how == "before":
                    loss.happened.set()
                    break
                losing += [loss] if loss else []
                server.sendall(chunk)
        return not losing

    def _met(self, tail: bytes, chunk: bytes) -> Loss | None:
        """The loss whose turn has come with this piece; a mark may lie across two pieces."""
        with self._lock:
            for loss in self._losses:
                start = max(0, len(tail) - len(loss.mark) + 1)
                loss.met += (tail[start:] + chunk).count(loss.mark)
                if loss.met >= loss.nth:
                    self._losses.remove(loss)
                    self.lost += 1
                    return loss
        return None

    def _answers(self, server: socket.socket, client: socket.socket, losing: list[Loss]) -> None:
        with suppress(OSError):
            while chunk := server.recv(65536):
                if losing:
                    losing[0].happened.set()
                    if losing[0].how == "silent":
                        continue
                    break
                time.sleep(random.uniform(0, self.delay))
                client.sendall(chunk)
        _close(client, server)


def _close(*sockets: socket.socket) -> None:
    for each in sockets:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
