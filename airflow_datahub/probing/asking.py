"""What is asked of a new API: a few requests, told beforehand, none repeated, no redirect followed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from airflow_datahub.contract import Connection, Log, Run
from airflow_datahub.errors import ConfigurationError, DatahubError, RetryLater
from airflow_datahub.http.auth import FIELDS
from airflow_datahub.http.client import Answer, Client
from airflow_datahub.http.rate import tightest
from airflow_datahub.http.target import target_of
from airflow_datahub.masking import SHORTEST, Mask, names_a_secret

FEW = 5
"""Records that are asked for, where not sizes are what is tried."""

SIZES = (100, 1000)

WAYS: Mapping[str, Mapping[str, str]] = {
    "header X-API-Key": {"auth": "api_key", "header": "X-API-Key"},
    "Authorization: Bearer": {"auth": "bearer"},
    "query parameter api_key": {"auth": "api_key", "param": "api_key"},
}
"""Ways of authenticating with a connection's password, as the extra says them."""

ONCE = {"retries": 0, "max_redirects": 0, "max_wait": 0}
"""What makes a question one request, whatever comes back."""

WITH_TOKENS = 4
"""Requests that one question comes to at most with oauth2: a token and the question, both again after a 401."""

HANDED_OVER = range(300, 500)


@dataclass(frozen=True, slots=True)
class Question:
    """One request."""

    path: str
    size: int = FEW
    way: str | None = None
    """One of WAYS; None: as the connection says."""


@dataclass(frozen=True, slots=True)
class Reaction:
    """What came of a question: an answer of status 2xx, 3xx or 4xx, or the reason why there is none."""

    question: Question
    answer: Answer | None = None
    failure: str = ""
    enough: bool = False
    """The API wants to be left alone for a while."""

    @property
    def good(self) -> bool:
        """Whether it is an answer of status 2xx."""
        return self.answer is not None and 200 <= self.answer.status < 300


@dataclass(frozen=True)
class Probe:
    """What is to be asked of one connection."""

    connection: Connection = field(repr=False)
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    size_param: str = "limit"
    sizes: bool = False
    paths: tuple[str, ...] = ()
    auth: bool = False
    mask: Mask = field(default_factory=Mask, repr=False)
    """Takes the secrets out of all that is told: those of the connection, tokens, and what a query gives by name."""

    def __post_init__(self) -> None:
        for secret in self._given():
            self.mask.add(secret)

    def announced(self) -> list[str]:
        """A line that says how many requests there will be at most, and one for each question, without secrets.
        Raises ConfigurationError for a connection that cannot be used."""
        target = target_of(self._signed_by(next(iter(WAYS)) if self.auth else None), self.mask.add)
        each = WITH_TOKENS if not self.auth and self.connection.extra.get("auth") == "oauth2" else 1
        questions = [*self._first(), *self._more(None)]
        count = len(questions) * each
        lines = [f"asks at most {count} request{'s' * (count > 1)} of connection {self.connection.id!r}:"]
        return lines + [self.mask(self._told(question, target.base)) for question in questions]

    async def reactions(self, log: Log) -> AsyncIterator[Reaction]:
        """Ask one question after the other, those about sizes and paths in the way of authenticating that works. Ends
        early where none does, or where the API wants a pause."""
        working: Reaction | None = None
        for question in self._first():
            yield (reaction := await self._ask(question, log))
            working = working or (reaction if reaction.good else None)
            if reaction.enough:
                return
        if self.auth and working is None:
            return
        for question in self._more(working.question.way if working else None):
            yield (reaction := await self._ask(question, log))
            if reaction.enough:
                return

    def _first(self) -> Iterator[Question]:
        for way in WAYS if self.auth else (None,):
            yield Question(self.path, way=way)

    def _more(self, way: str | None) -> Iterator[Question]:
        yield from (Question(path, way=way) for path in self.paths)
        yield from (Question(self.path, size, way) for size in SIZES if self.sizes)

    def _given(self) -> Iterator[str]:
        queries = [urlsplit(path).query for path in (self.path, *self.paths)]
        pairs = [*self.query.items(), *(pair for query in queries for pair in parse_qsl(query))]
        return (value for name, value in pairs if names_a_secret(name) and len(value) >= SHORTEST)

    def _told(self, question: Question, base: str) -> str:
        parts = [f"{name}={value}" for name, value in self._asked(question).items()]
        mark = "&" if "?" in question.path else "?"
        by = f", by {question.way}" if question.way else ""
        return f"  GET {base}/{question.path.lstrip('/')}{mark if parts else ''}{'&'.join(parts)}{by}"

    def _asked(self, question: Question) -> dict[str, Any]:
        return {**self.query, **({self.size_param: question.size} if self.size_param else {})}

    async def _ask(self, question: Question, log: Log) -> Reaction:
        connection = self._signed_by(question.way)
        run = Run(pipeline="probe", run_id="probe", connections=lambda _: connection, log=log, mask=self.mask)
        try:
            async with Client(connection.id, run, concurrency=1, kept=False) as client:
                answer, _ = await client.get(question.path, self._asked(question), lambda answer: answer, HANDED_OVER)
                failure = "" if answer.status < 300 else str(client.refusal(answer))
        except DatahubError as error:
            return Reaction(question, failure=str(error), enough=isinstance(error, RetryLater))
        quota = tightest(answer.headers)
        return Reaction(question, answer, failure, enough=quota is not None and not quota.left)

    def _signed_by(self, way: str | None) -> Connection:
        extra = dict(self.connection.extra)
        if way:
            extra = {name: value for name, value in extra.items() if name not in FIELDS} | dict(WAYS[way])
        return replace(self.connection, extra=extra | ONCE)


def checked(path: str) -> str:
    """The path, where it is one behind the connection's address. Raises ConfigurationError."""
    if "://" in path.partition("?")[0] or path.startswith("//"):
        raise ConfigurationError(
            f"{path[:80]!r}: scheme and host belong into the connection; name a path, as in /events"
        )
    return path
