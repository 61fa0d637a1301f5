"""One exchange over a kept-alive connection: the head within its limits, the body whole.

It drives aiohttp, whose parser and streams cost 0.3 µs a record at 1,000 a page (httpx: 1.2), and leaves it no
decision: no proxy of the environment, no cookie, no redirect, no unpacking, no look-up of its own.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from airflow_datahub.errors import ConfigurationError
from airflow_datahub.http.address import Hosts
from airflow_datahub.http.body import Plain, body_of
from airflow_datahub.http.limits import MEGABYTE
from airflow_datahub.http.retrying import TryAgain
from airflow_datahub.http.target import Target

KEPT_ALIVE = 30.0
"""Seconds."""
BUFFER = MEGABYTE
"""Bytes that may wait to be read: a page arrives in one piece."""
WINDOW = 5.0
"""Seconds over which a body's rate is measured."""


@dataclass(frozen=True, slots=True)
class Request:
    """What goes out."""

    method: str
    url: URL
    headers: Mapping[str, str] = field(repr=False)
    data: bytes | None = field(default=None, repr=False)


@dataclass(slots=True)
class Reply:
    """What came back, its body whole where it was wanted, else empty."""

    status: int
    headers: dict[str, str]
    """Names in lower case, repeated ones joined by commas."""
    body: bytearray = field(default_factory=bytearray, repr=False)


class _Reused(Exception):
    """The server had closed a kept connection when we asked on it; nothing is wrong with it."""


class _Pinned(AbstractResolver):
    """Gives aiohttp the addresses that were checked, and no others."""

    def __init__(self, hosts: Hosts):
        self._hosts = hosts

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        """From memory, as the host was checked just before."""
        return [
            ResolveResult(hostname=host, host=ip, port=port, family=kind, proto=0, flags=0)
            for kind, ip in await self._hosts.check(host)
        ]

    async def close(self) -> None:
        """There is nothing to close."""


class Transport:
    """Connections to the hosts that a target leads to; used within one event loop."""

    def __init__(self, target: Target, connections: int, kept: bool = True):
        """Not `kept`, each request has a connection of its own, and is sent once."""
        self._target = target
        self._connections, self._kept = connections, kept
        trusted = [str(URL.build(scheme="http", host=host).raw_host) for host in target.trusted]
        self._hosts = Hosts(target.connection, trusted, target.policy.connect)
        self._opened: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """End all connections."""
        if self._opened is not None:
            await self._opened.close()

    async def ask(self, request: Request, wanted: Callable[[int], bool]) -> Reply:
        """The body is read where the status is `wanted`. Raises TryAgain for what another try may cure,
        ConfigurationError for what a person must."""
        await self._hosts.check(str(request.url.raw_host))
        while True:
            try:
                return await self._exchange(request, wanted)
            except _Reused:
                continue  # each of these takes one kept connection out of the pool
            except (aiohttp.ClientError, TimeoutError) as error:
                self._broken(error, request.url)

    async def _exchange(self, request: Request, wanted: Callable[[int], bool]) -> Reply:
        seen: dict[str, bool] = {}
        try:
            response = await self._session().request(
                request.method, request.url, headers=request.headers, data=request.data,
                allow_redirects=False, trace_request_ctx=seen,
            )  # fmt: skip
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            if request.method == "GET" and "reused" in seen:
                raise _Reused from error
            raise
        async with response:
            headers = self._headers(response)
            if not wanted(response.status):
                return Reply(response.status, headers)
            body = body_of(headers.get("content-encoding", ""), response.content_length, self._target.limits)
            await self._read(response.content, body)
        return Reply(response.status, headers, body.content)

    def _headers(self, response: aiohttp.ClientResponse) -> dict[str, str]:
        largest = self._target.limits.headers
        if sum(len(name) + len(value) for name, value in response.raw_headers) > largest:
            raise ConfigurationError(
                f"the answer has more than {largest:,} bytes of headers ('max_headers' in the extra of the connection)"
            )
        found: dict[str, str] = {}
        for name, value in response.headers.items():
            key = name.lower()
            found[key] = f"{found[key]}, {value}" if key in found else value
        return found

    async def _read(self, content: aiohttp.StreamReader, body: Plain) -> None:
        least, received = self._target.policy.min_rate * WINDOW, 0
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(WINDOW if least else None) as window:
                while chunk := await content.readany():
                    body.feed(chunk)
                    received += len(chunk)
                    if least and received >= least:
                        received = 0
                        window.reschedule(loop.time() + WINDOW)
        except TimeoutError:
            raise TryAgain(f"the body came with less than {least / WINDOW:,.0f} bytes/s over {WINDOW:g} s") from None
        body.prove_whole()

    def _session(self) -> aiohttp.ClientSession:
        if self._opened is None:
            self._opened = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    ssl=_tls(self._target), resolver=_Pinned(self._hosts), use_dns_cache=False,
                    limit=self._connections, force_close=not self._kept,
                    keepalive_timeout=KEPT_ALIVE if self._kept else None,
                ),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._target.policy.connect),
                cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, auto_decompress=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
                read_bufsize=BUFFER, max_line_size=self._target.limits.headers,
                max_field_size=self._target.limits.headers, trace_configs=[_reuse()],
            )  # fmt: skip
            self._opened._retry_connection = False  # it would repeat on fresh connections, too
        return self._opened

    def _broken(self, error: Exception, url: URL) -> NoReturn:
        """Say what was wrong with the way to the server."""
        where = f"{url.host}:{url.port} (connection {self._target.connection!r})"
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            reason = getattr(error.certificate_error, "verify_message", error.certificate_error)
            raise ConfigurationError(f"{where} has a certificate that is not trusted: {reason}") from error
        if isinstance(error, aiohttp.InvalidURL):
            raise ConfigurationError(
                f"{url.host!r} is no address of a host (connection {self._target.connection!r})"
            ) from None  # that one shows the whole address, with a key that may be in it
        if isinstance(error, aiohttp.ClientConnectorError | TimeoutError):
            self._hosts.forget(str(url.raw_host))
            reason = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else "no connection in time"
            raise TryAgain(f"cannot reach {where}: {reason}") from error
        raise TryAgain(f"the connection to {where} broke: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """In one line; a parser quotes what it found."""
    text = error.message if isinstance(error, aiohttp.ClientResponseError) else str(error)
    return ascii(text or type(error).__name__)[1:-1][:200]


def _tls(target: Target) -> ssl.SSLContext | bool:
    if not target.verify or target.ca_file is None:
        return target.verify
    try:
        return ssl.create_default_context(cafile=target.ca_file)
    except OSError as error:  # an ssl.SSLError is one, too
        raise ConfigurationError(
            f"connection {target.connection!r}: extra 'ca_file': {target.ca_file!r} cannot be used: {error}"
        ) from error


def _reuse() -> aiohttp.TraceConfig:
    """Notes in a request's context that it went out on a kept connection."""

    async def note(session: Any, context: Any, parameters: Any) -> None:
        context.trace_request_ctx["reused"] = True

    config = aiohttp.TraceConfig()
    config.on_connection_reuseconn.append(note)
    return config
