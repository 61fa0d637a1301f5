"""Ask an HTTP API: one client for a connection, kept-alive, with limits on everything that the other side decides."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, NoReturn, Self, TypeVar

import httpx

from airflow_datahub import __version__
from airflow_datahub.contract import Run
from airflow_datahub.errors import ConfigurationError, RunError
from airflow_datahub.http.address import check_public
from airflow_datahub.http.body import read_whole
from airflow_datahub.http.retrying import Patience, TryAgain, retry_after
from airflow_datahub.http.stopping import unless_stopped
from airflow_datahub.http.target import target_of

T = TypeVar("T")

Query = Mapping[str, Any]
"""Names to text, numbers, booleans, or lists of those."""


@dataclass(slots=True)
class Answer:
    """An answer that was read to its proven end."""

    status: int
    headers: Mapping[str, str]
    body: bytearray = field(repr=False)
    """Unpacked."""
    shown: str
    """What was asked, as error texts show it: no secret is in it."""
    masked: Callable[[str], str] = field(repr=False)
    """Takes the connection's secret out of a text."""

    def start(self, length: int) -> str:
        """The first characters of the body, for an error text."""
        return self.masked(bytes(self.body[: length + 4096]).decode(errors="replace")).strip()[:length]

    @property
    def content_type(self) -> str:
        """The media type that the answer claims, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class Client:
    """An open client; an asynchronous context manager that closes its connections.

    It drives httpx's transport itself: no proxy of the environment, no cookie, no redirect that carries a credential
    elsewhere, no log line with the address in it (a key may be part of it)."""

    def __init__(self, connection_id: str, run: Run):
        """Reads the connection, whose errors are ConfigurationError; asks nothing yet."""
        self._run = run
        self._target = target_of(run.connections(connection_id))
        self._policy = self._target.policy
        self._timeout = httpx.Timeout(self._policy.total, connect=self._policy.connect).as_dict()
        self._headers = {
            "user-agent": f"airflow-datahub/{__version__}",
            "accept": "application/json",
            "accept-encoding": "gzip",
            **self._target.headers,
        }
        self._address_checked = self._target.allow_private
        self._transport = httpx.AsyncHTTPTransport(
            verify=self._target.base.startswith("https:"),  # reading the authorities takes 0.1 s
            limits=httpx.Limits(max_connections=10, keepalive_expiry=30),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._transport.aclose()

    async def get(
        self, path: str, query: Query, read: Callable[[Answer], T], hand_over: Container[int] = ()
    ) -> tuple[T, int]:
        """What `read` makes of the answer, and how many retries it took.

        `read` may raise TryAgain for an answer that is broken; it gets answers of status 2xx and those in `hand_over`.
        Raises ConfigurationError, RunFailed, RetryLater, and Interrupted within a moment of a stop."""
        patience = Patience(self._policy)
        url = self._url(path, query)
        shown = self._target.masked(f"GET {url}")
        while True:
            try:
                return await unless_stopped(
                    self._run.stopping, self._try(url, shown, read, hand_over)
                ), patience.retries
            except TryAgain as error:
                cause = TryAgain(f"{shown}: {self._target.masked(error.reason)}", error.wait, error.asked)
            except RunError as error:
                error.args = (self._target.masked(str(error)), *error.args[1:])
                raise
            wait = patience.next_wait(cause)
            self._run.log.warning(
                "request_repeated", reason=cause.reason, seconds=round(wait, 1), retry=patience.retries
            )
            await unless_stopped(self._run.stopping, asyncio.sleep(wait))

    def refusal(self, answer: Answer) -> ConfigurationError:
        """The error for an answer of status 4xx that no retry can cure."""
        hint = (
            f"check the credentials of connection {self._target.connection!r}; " if answer.status in (401, 403) else ""
        )
        return ConfigurationError(f"{answer.shown}: {_named(answer.status)}; {hint}it says {answer.start(200)!r}")

    def _url(self, path: str, query: Query) -> httpx.URL:
        try:
            url = self._inside(path) if "://" in path else httpx.URL(f"{self._target.base}/{path.lstrip('/')}")
            return url.copy_merge_params(dict(query)) if query else url
        except (httpx.InvalidURL, UnicodeError) as error:
            raise ConfigurationError(f"connection {self._target.connection!r}, path {path[:80]!r}: {error}") from None

    def _inside(self, address: str) -> httpx.URL:
        """A link that the API gave; only its own connection is signed, so only there is it followed."""
        url, own = httpx.URL(address), httpx.URL(self._target.base)
        if (url.scheme, url.host, url.port) != (own.scheme, own.host, own.port):  # httpx leaves usual ports out
            raise ConfigurationError(
                f"the API's link leads to {url.scheme}://{url.host} and not to {self._target.host}, the host of "
                f"connection {self._target.connection!r}; only links to there are followed"
            )
        return url

    async def _try(self, url: httpx.URL, shown: str, read: Callable[[Answer], T], hand_over: Container[int]) -> T:
        try:
            async with asyncio.timeout(self._policy.total):
                await self._check_address()
                answer = await self._ask(url, shown)
        except TimeoutError:
            raise TryAgain(f"no whole answer within {self._policy.total:g} s") from None
        except httpx.TransportError as error:
            self._broken(error)
        if not 200 <= answer.status < 300 and answer.status not in hand_over:
            raise self.refusal(answer)
        return read(answer)

    async def _check_address(self) -> None:
        if not self._address_checked:
            await check_public(self._target.host, self._target.port, self._target.connection)
            self._address_checked = True

    async def _ask(self, url: httpx.URL, shown: str) -> Answer:
        signed = url.copy_merge_params(self._target.params) if self._target.params else url
        request = httpx.Request("GET", signed, headers=self._headers, extensions={"timeout": self._timeout})
        response = await self._transport.handle_async_request(request)
        try:
            self._judge(response, shown)
            body = await read_whole(response.aiter_raw(), response.headers.get("content-encoding", ""))
        finally:
            await response.aclose()
        return Answer(response.status_code, response.headers, body, shown, self._target.masked)

    def _judge(self, response: httpx.Response, shown: str) -> None:
        """Raise for what is clear before the body is read."""
        status = response.status_code
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            raise TryAgain(_named(status), retry_after(response.headers), asked=True)
        if status >= 500:
            wait = retry_after(response.headers) if status == HTTPStatus.SERVICE_UNAVAILABLE else None
            raise TryAgain(_named(status), wait)
        if 300 <= status < 400:
            target = self._target.masked(response.headers.get("location", ""))[:200]
            raise ConfigurationError(
                f"{shown}: {_named(status)}: it redirects to {target!r}; put that address into connection "
                f"{self._target.connection!r} or `path`, redirects are not followed"
            )

    def _broken(self, error: httpx.TransportError) -> NoReturn:
        """Say what was wrong with the way to the server."""
        root = _root(error)
        where = f"{self._target.host}:{self._target.port} (connection {self._target.connection!r})"
        if isinstance(root, ssl.SSLCertVerificationError):
            raise ConfigurationError(f"{where} has a certificate that is not trusted: {root.verify_message}") from error
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            raise TryAgain(f"cannot reach {where}: {root or 'no connection in time'}") from error
        if isinstance(error, httpx.TimeoutException):
            raise TryAgain(f"no answer within {self._policy.total:g} s") from error
        raise TryAgain(f"the connection to {where} broke: {str(error) or type(error).__name__}") from error


def _root(error: BaseException) -> BaseException | None:
    """What lies at the bottom of httpx's chain of errors, if that says anything."""
    while inner := error.__cause__ or error.__context__:
        error = inner.exceptions[0] if isinstance(inner, BaseExceptionGroup) else inner
    return error if str(error) else None


def _named(status: int) -> str:
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"
