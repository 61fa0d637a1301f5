"""Which addresses a request may go to, so that a spec cannot make a worker ask the machines around it (S3)."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections.abc import Collection
from typing import NamedTuple

from airflow_datahub.errors import ConfigurationError
from airflow_datahub.http.retrying import TryAgain

_CARRIERS = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")))
"""NAT64, 6to4 and Teredo: IPv6 addresses that lead to any IPv4 address, private ones included."""

_SPECIAL = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "168.63.129.16/32", "3fff::/20")))
"""Not for the internet, though Python (or the registry) says so of a part only: protocol assignments, among them the
metadata of a cloud; the host below a machine of Azure; documentation."""


def is_internal(address: str) -> bool:
    """Whether an IP address is private, loopback, link-local, shared (CGNAT), multicast, reserved, or hides an IPv4
    address."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and (
        ip.ipv4_mapped or ip.is_site_local or any(ip in n for n in _CARRIERS)
    ):
        return True
    return not ip.is_global or ip.is_multicast or ip.is_reserved or any(ip in n for n in _SPECIAL)


class Address(NamedTuple):
    """One that a host has."""

    family: int
    ip: str


class Hosts:
    """Looks each host up once and keeps what it found: a connection goes to an address that was checked, whatever the
    name leads to by then. `trusted` hosts may have internal addresses."""

    def __init__(self, connection: str, trusted: Collection[str], seconds: float):
        self._connection = connection
        self._trusted = frozenset(host.lower() for host in trusted)
        self._seconds = seconds
        self._known: dict[str, list[Address]] = {}
        self._looking = asyncio.Lock()

    async def check(self, host: str) -> list[Address]:
        """The addresses of a host. Raises ConfigurationError where one of them is internal, TryAgain where the name
        cannot be resolved."""
        if host not in self._known:
            async with self._looking:
                if host not in self._known:
                    self._known[host] = self._allowed(host, await self._look_up(host))
        return self._known[host]

    def forget(self, host: str) -> None:
        """None of its addresses could be reached: look it up again next time."""
        self._known.pop(host, None)

    async def _look_up(self, host: str) -> list[Address]:
        try:
            async with asyncio.timeout(self._seconds):
                return await look_up(host)
        except TimeoutError:
            raise TryAgain(f"{self._lost(host)}: no answer within {self._seconds:g} s") from None
        except (OSError, UnicodeError) as error:
            raise TryAgain(f"{self._lost(host)}: {error}") from error

    def _lost(self, host: str) -> str:
        return f"cannot find the host {host!r} (connection {self._connection!r})"

    def _allowed(self, host: str, found: list[Address]) -> list[Address]:
        internal = [] if host.lower() in self._trusted else sorted(each.ip for each in found if is_internal(each.ip))
        if not internal:
            return found
        what = f"{host} is " if host == internal[0] else f"{host} is {internal[0]}, "
        raise ConfigurationError(
            f"connection {self._connection!r}: {what}an internal address; if that is meant, put "
            '"allow_private": true into the extra of a connection to it (Allow private in Airflow\'s form)'
        )


async def look_up(host: str) -> list[Address]:
    """Ask the system in a thread that ends with the process: a look-up that hangs holds nothing up, a stop neither."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[Address]] = loop.create_future()
    threading.Thread(target=_ask_system, args=(host, loop, found), daemon=True, name="look-up").start()
    return await found


def _ask_system(host: str, loop: asyncio.AbstractEventLoop, found: asyncio.Future[list[Address]]) -> None:
    result: list[Address] | Exception
    try:
        items = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        result = list(dict.fromkeys(Address(item[0], str(item[4][0])) for item in items))
    except (OSError, UnicodeError) as error:
        result = error
    with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
        loop.call_soon_threadsafe(_settle, found, result)


def _settle(found: asyncio.Future[list[Address]], result: list[Address] | Exception) -> None:
    if found.done():
        return
    if isinstance(result, Exception):
        found.set_exception(result)
    else:
        found.set_result(result)
