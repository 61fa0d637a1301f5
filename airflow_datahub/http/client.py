"""Ask an HTTP API: one client for a connection, kept-alive, with limits on everything that the other side decides."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Self, TypeVar
from urllib.parse import urlencode

from yarl import URL

from airflow_datahub import __version__
from airflow_datahub.contract import Run
from airflow_datahub.errors import ConfigurationError, QuotaUsedUp, RetryLater, RunError
from airflow_datahub.http.auth import Asked, Signed
from airflow_datahub.http.body import ASKED_FOR
from airflow_datahub.http.breaker import Breaker
from airflow_datahub.http.lanes import Lanes
from airflow_datahub.http.rate import Rate, tightest
from airflow_datahub.http.redirects import FOLLOWED, Trail, is_web, parsed, place, with_query
from airflow_datahub.http.retrying import Patience, TryAgain, retry_after
from airflow_datahub.http.stopping import unless_stopped
from airflow_datahub.http.target import Target, target_of
from airflow_datahub.http.transport import Reply, Request, Transport

T = TypeVar("T")

Query = Mapping[str, Any]
"""Names to text, numbers, booleans, or lists of those."""


@dataclass(slots=True)
class Answer:
    """An answer that was read to its proven end."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case; what was repeated is joined by commas."""
    body: bytearray = field(repr=False)
    """Unpacked."""
    shown: str
    """What was asked, as error texts show it: no secret is in it."""
    masked: Callable[[str], str] = field(repr=False)
    """Takes the connection's secrets out of a text."""

    def start(self, length: int) -> str:
        """The first characters of the body, for an error text."""
        return self.masked(bytes(self.body[: length + 4096]).decode(errors="replace")).strip()[:length]

    @property
    def content_type(self) -> str:
        """The media type that the answer claims, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Sent:
    """One request, before it is signed."""

    method: str
    url: URL
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Known:
    """What a run knows of one API; all of its clients share it."""

    target: Target
    """With the token that was fetched."""
    rate: Rate
    breaker: Breaker


class Client:
    """An open client; an asynchronous context manager that closes its connections.

    At most `concurrency` requests are under way at once, fewer where the connection says so. `rate_limit` is the number
    of requests a second to begin with; what the API's answers say wins, up to what the connection allows. `largest` is
    the size of an answer in bytes, where the connection allows more. A connection that is `kept` may turn out to be
    closed, and what was sent is sent again on another. No log line holds an address as it was sent: a key
    may be part of it."""

    def __init__(
        self, connection_id: str, run: Run, *, concurrency: int = 10, rate_limit: float | None = None,
        largest: int | None = None, kept: bool = True,
    ):  # fmt: skip
        """Reads the connection, whose errors are ConfigurationError; asks nothing yet."""
        self._run = run
        known = _known(connection_id, run, rate_limit)
        limits = known.target.limits.at_most(largest)
        self._target, self._rate, self._breaker = replace(known.target, limits=limits), known.rate, known.breaker
        self._base = URL(self._target.base)
        concurrency = min(concurrency, self._target.allowed.concurrency or concurrency)
        self._lanes = Lanes(concurrency)
        self._signing = asyncio.Lock()
        self._transport = Transport(self._target, concurrency, kept)
        self._headers = {
            "user-agent": f"airflow-datahub/{__version__}",
            "accept": "application/json",
            "accept-encoding": ASKED_FOR,
        }
        if not self._target.verify:
            run.log.warning("tls_not_verified", connection=connection_id)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        try:
            await self._breaker.settle()
        finally:
            await self._transport.close()

    @property
    def target(self) -> Target:
        """What the connection says."""
        return self._target

    async def get(
        self, address: str, query: Query, read: Callable[[Answer], T], hand_over: Container[int] = ()
    ) -> tuple[T, int]:
        """What `read` makes of the answer, and how many retries it took. `address` is a path behind the connection's
        address, or a link that the API gave, which must lead to the same scheme, host and port.

        `read` may raise TryAgain for an answer that is broken; it gets answers of status 2xx and those in `hand_over`.
        Raises ConfigurationError, RunFailed, RetryLater, and Interrupted within a moment of a stop."""
        return await self._send(Sent("GET", self._url(address, query)), read, hand_over)

    async def post(self, path: str, body: bytes, read: Callable[[Answer], T], name: str) -> tuple[T, int]:
        """The same for JSON that is sent to a path behind the connection's address. No redirect is followed; `name`
        goes along as Idempotency-Key, since an attempt whose answer is unknown is repeated."""
        headers = {"content-type": "application/json", "idempotency-key": name}
        return await self._send(Sent("POST", self._url(path, {}), body, headers), read, ())

    async def _send(self, sent: Sent, read: Callable[[Answer], T], hand_over: Container[int]) -> tuple[T, int]:
        patience = Patience(self._target.policy)
        shown = self._target.masked(f"{sent.method} {sent.url}")
        while True:
            try:
                work = self._try(sent, shown, read, hand_over)
                return await unless_stopped(self._run.stopping, work), patience.retries
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

    def check(self, link: str) -> None:
        """Raise ConfigurationError for a link that the API gave and that is not followed."""
        self._url(link, {})

    def refusal(self, answer: Answer) -> ConfigurationError:
        """The error for an answer of status 4xx that no retry can cure."""
        hint = (
            f"check the credentials of connection {self._target.connection!r}; " if answer.status in (401, 403) else ""
        )
        return ConfigurationError(f"{answer.shown}: {_named(answer.status)}; {hint}it says {answer.start(200)!r}")

    # --- where to

    def _url(self, address: str, query: Query) -> URL:
        link = "://" in address.partition("?")[0]
        try:
            url = self._own(parsed(address)) if link else parsed(self._behind(address))
            return with_query(url, _pairs(query)) if query else url
        except ConfigurationError as error:
            where = f"connection {self._target.connection!r}, address {self._target.masked(address)[:80]!r}"
            raise ConfigurationError(self._target.masked(f"{where}: {error}")) from None

    def _behind(self, path: str) -> str:
        return f"{self._target.base}/{path.lstrip('/')}" if path else self._target.base

    def _own(self, link: URL) -> URL:
        """A link that the API gave: only its own connection is signed, so only there is it followed."""
        plain = link.scheme == "http" and link.port == 80 and self._base.scheme == "https"
        if plain and link.host == self._base.host:  # written by a server that does not know of the TLS in front of it
            link = link.with_scheme("https").with_port(self._base.port)
        if is_web(link) and place(link) == place(self._base):
            return link
        raise ConfigurationError(
            f"the API's link leads to {link.scheme}://{link.host}:{link.port} and not to {self._base.origin()}, the "
            "address of the connection; only links to there are followed"
        )

    # --- one try

    async def _try(self, sent: Sent, shown: str, read: Callable[[Answer], T], hand_over: Container[int]) -> T:
        async with self._lanes:
            await self._turn(shown)
            try:
                result = read(self._judged(await self._in_time(sent, shown), shown, hand_over))
            except TryAgain as error:
                self._failed(error)
                raise
            except ConfigurationError:
                self._breaker.succeeded()
                raise
            except BaseException:
                self._breaker.neither()
                raise
            self._breaker.succeeded()
            self._lanes.succeeded()
            return result

    async def _turn(self, shown: str) -> None:
        """Wait until a request may go out."""
        try:
            await asyncio.sleep(self._rate.reserve())
            await self._breaker.turn()
        except QuotaUsedUp as error:
            raise QuotaUsedUp(f"{shown}: {error}", error.delay) from None
        except RetryLater as error:
            raise RetryLater(f"{shown}: {error}", error.delay) from None

    def _failed(self, error: TryAgain) -> None:
        if not error.asked:
            self._breaker.failed()
            return
        self._breaker.neither()
        self._lanes.refused()
        if error.wait:
            self._rate.rest(error.wait)

    async def _in_time(self, sent: Sent, shown: str) -> Reply:
        total = self._target.policy.total
        try:
            async with asyncio.timeout(total):
                return await self._follow(sent)
        except TimeoutError:
            raise TryAgain(f"no whole answer within {total:g} s") from None
        except ConfigurationError as error:
            raise ConfigurationError(f"{shown}: {error}") from None  # its own text is not masked

    async def _follow(self, sent: Sent) -> Reply:
        """From redirect to redirect; what is sent somewhere is not sent elsewhere."""
        target = self._target
        trail = Trail(sent.url, target.limits.redirects, target.signer.anonymous, target.masked)
        while True:
            reply = await self._signed(sent)
            if reply.status not in FOLLOWED or sent.body is not None:
                return reply
            sent = Sent(sent.method, trail.follow(reply.status, reply.headers.get("location", "")))

    async def _signed(self, sent: Sent) -> Reply:
        """Ask with the connection's credentials, once more where new ones are to be had."""
        reply, used = await self._ask(sent)
        if reply.status == HTTPStatus.UNAUTHORIZED and self._target.signer.renew(used):
            reply, _ = await self._ask(sent)
        return reply

    async def _ask(self, sent: Sent) -> tuple[Reply, Signed]:
        url = sent.url
        async with self._signing:
            signed = await self._target.signer.sign(_asked(sent), self._token)
        if signed.params:
            url = with_query(url, list(signed.params.items()))
        headers = {**self._headers, **sent.headers, **signed.headers}
        reply = await self._transport.ask(Request(sent.method, url, headers, sent.body), _worth_reading)
        self._rate.learn(reply.headers)
        return reply, signed

    async def _token(self, address: str, form: Mapping[str, str], headers: Mapping[str, str]) -> bytes:
        """Fetch a token; where a redirect would lead to is not told the client's secret."""
        data = urlencode(form).encode()
        sent = {**self._headers, "content-type": "application/x-www-form-urlencoded", **headers}
        reply = await self._transport.ask(Request("POST", parsed(address), sent, data), _worth_reading)
        _raise_if_unable(reply)
        if 200 <= reply.status < 300:
            return bytes(reply.body)
        said = Answer(reply.status, reply.headers, reply.body, address, self._target.masked).start(200)
        raise ConfigurationError(
            f"POST {address}: {_named(reply.status)}; no token for connection {self._target.connection!r}, check its "
            f"login, password and extra; it says {said!r}"
        )

    def _judged(self, reply: Reply, shown: str, hand_over: Container[int]) -> Answer:
        """The answer, where it is one. Raises TryAgain or ConfigurationError."""
        _raise_if_unable(reply)
        answer = Answer(reply.status, reply.headers, reply.body, shown, self._target.masked)
        if reply.status == HTTPStatus.PARTIAL_CONTENT:
            raise TryAgain(f"{_named(reply.status)}, though the whole was asked for")
        if not 200 <= reply.status < 300 and reply.status not in hand_over:
            raise self.refusal(answer)
        return answer


def _known(connection_id: str, run: Run, rate_limit: float | None) -> Known:
    name = f"http:{connection_id}"
    known = run.kept.get(name)
    if known is None:
        target = target_of(run.connections(connection_id), run.mask.add)
        rate = Rate(rate_limit, target.policy.obeyed, allowed=target.allowed)
        known = run.kept.setdefault(name, Known(target, rate, _breaker(target, run)))
    assert isinstance(known, Known)
    return known


def _breaker(target: Target, run: Run) -> Breaker:
    if run.redis is None:
        return Breaker(target.fuse)
    from airflow_datahub.http.breaker_redis import shared  # the library is an extra

    return shared(target, run.redis, run)


def _asked(sent: Sent) -> Asked:
    url = sent.url
    return Asked(sent.method, url.host_port_subcomponent or "", url.raw_path, url.raw_query_string, sent.body or b"")


def _pairs(query: Query) -> Sequence[tuple[str, str]]:
    return [
        (name, _text(item))
        for name, value in query.items()
        for item in (value if isinstance(value, list | tuple) else [value])
    ]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _worth_reading(status: int) -> bool:
    if status == HTTPStatus.NO_CONTENT:
        return False  # it has no body, whatever its headers say of one
    return status < 300 or (400 <= status < 500 and status != HTTPStatus.TOO_MANY_REQUESTS)


def _raise_if_unable(reply: Reply) -> None:
    """Raise TryAgain for a server that cannot serve us now."""
    status, headers = reply.status, reply.headers
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        raise TryAgain(_named(status), _wait(headers), asked=True)
    if status >= 500:
        raise TryAgain(_named(status), retry_after(headers) if status == HTTPStatus.SERVICE_UNAVAILABLE else None)


def _wait(headers: Mapping[str, str]) -> float | None:
    """Seconds until there is a quota again."""
    wait = retry_after(headers)
    quota = tightest(headers) if wait is None else None
    return quota.seconds if quota and not quota.left else wait


def _named(status: int) -> str:
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"
