"""Which addresses a request may go to, so that a spec cannot make a worker ask the machines around it."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

from airflow_datahub.errors import ConfigurationError
from airflow_datahub.http.retrying import TryAgain

_CARRIERS = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")))
"""NAT64, 6to4 and Teredo: IPv6 addresses that lead to any IPv4 address, private ones included."""


def is_internal(address: str) -> bool:
    """Whether an IP address is private, loopback, link-local, shared (CGNAT), multicast, reserved, or hides an IPv4
    address."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and (
        ip.ipv4_mapped or ip.is_site_local or any(ip in n for n in _CARRIERS)
    ):
        return True
    return not ip.is_global or ip.is_multicast or ip.is_reserved


async def check_public(host: str, port: int, connection: str) -> None:
    """Resolve the host and look at every address that it has.

    Raises ConfigurationError where one is internal, TryAgain where the name cannot be resolved."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise TryAgain(f"cannot find the host {host!r}: {error}") from error
    internal = sorted({str(item[4][0]) for item in found if is_internal(str(item[4][0]))})
    if internal:
        raise ConfigurationError(
            f"connection {connection!r}: {host} is {internal[0]}, an internal address; if that is meant, put "
            '"allow_private": true into the extra of the connection'
        )
