"""As much of the package `statsd` as Airflow's StatsD backend needs, for machines without it: datagrams to a socket."""

from __future__ import annotations

import socket


class StatsClient:
    """Sends each metric at once, in the form of StatsD."""

    def __init__(self, host: str, port: int, prefix: str, ipv6: bool = False):
        self._to, self._prefix = (host, port), prefix
        self._socket = socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET, socket.SOCK_DGRAM)

    def incr(self, stat: str, count: float = 1, rate: float = 1) -> None:
        """A counter."""
        self._send(f"{stat}:{count}|c")

    def timing(self, stat: str, delta: float) -> None:
        """Milliseconds."""
        self._send(f"{stat}:{delta:.6f}|ms")

    def _send(self, text: str) -> None:
        self._socket.sendto(f"{self._prefix}.{text}".encode(), self._to)
