"""Ask an HTTP API about each record, and write what it answers.

The same question is asked once for all records that share it, and its answer is kept for a while. Questions of a batch
go out at the same time, within the limits of the connection and what the API says of its own. An API that is out of
order ends the try, as for a source: nothing is written without its answer. In a spec `$${id}` is the value of a field.

Example:
    http_lookup: {connection: shop, path: "/customers/$${customer}", value: name, to: customer_name}

Answers:
    - {request: {path: /customers/42}, answer: {id: 42, name: Ann}}

Given:
    - {order: 1, customer: 42}
    - {order: 2, customer: 43}

Gives:
    - {order: 1, customer: 42, customer_name: Ann}
    - {order: 2, customer: 43}
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import quote

import msgspec
from pydantic import BaseModel, ConfigDict, Field, model_validator

from airflow_datahub.conditions.values import Constant
from airflow_datahub.contract import BatchFunction, Record, Run, Transform
from airflow_datahub.conversion import mistake
from airflow_datahub.errors import RejectRecord
from airflow_datahub.paths import MISSING, FieldPath, getter, setter
from airflow_datahub.placeholders import Filled, filler
from airflow_datahub.quantities import SomeTime

if TYPE_CHECKING:
    from airflow_datahub.http.background import Background
    from airflow_datahub.http.client import Answer, Client

_NOT_FOUND = (404, 410)
_CLOSING = 1.0
"""Seconds that closing may take."""


class Cache(BaseModel):
    """How long answers are kept."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    ttl: SomeTime | None = None
    """An older answer is asked for again; left out, it holds for the whole run."""

    size: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    """Answers that are kept; of more, those that nobody asked for longest go."""


class HttpLookup(Transform):
    connection: str
    """Airflow connection of type http."""

    path: Filled
    """What is asked for, behind the address of the connection, with the record's values as `${path}`."""

    query: dict[str, Filled] = Field(default_factory=dict)
    """Query parameters; a record in which a value of theirs or of the path is missing or null passes untouched."""

    value: str = ""
    """Path of what is taken from the answer; empty: the whole answer."""

    to: FieldPath
    """The field that gets it."""

    missing: Literal["keep", "null", "default", "reject", "drop"] = "keep"
    """What becomes of a record of which the API knows nothing (status 404 or 410, or nothing at `value`)."""

    default: Constant = None
    """With `missing: default`: what is written."""

    concurrency: Annotated[int, Field(ge=1, le=100)] = 10
    """Requests at once at most."""

    rate_limit: Annotated[float, Field(gt=0, le=100_000)] | None = None
    """Requests a second to begin with; what the API says of its limits wins."""

    cache: Cache = Cache()
    """Which answers are kept, and how long."""

    required: bool = False
    """Reject a record in which a value of the question is missing or null."""

    @model_validator(mode="after")
    def _default_fits(self) -> HttpLookup:
        if (self.default is None) is (self.missing == "default"):
            raise mistake("`missing: default` and `default` go together")
        return self

    def compile_batch(self, run: Run) -> BatchFunction:
        return _Asking(self, run).serve


class _Untouched(Exception):
    """The record has no question."""


class _Asking:
    """One operator in one run, with its client and the answers so far."""

    def __init__(self, operator: HttpLookup, run: Run):
        self._operator, self._run = operator, run
        self._path = filler(operator.path, lambda text: quote(text, safe=""), self._lacks)
        self._query = {name: filler(text, absent=self._lacks) for name, text in operator.query.items()}
        self._value, self._put = getter(operator.value), setter(operator.to)
        self._answers: OrderedDict[str, tuple[float, Any]] = OrderedDict()
        self._opened: tuple[Background, Client] | None = None

    def serve(self, records: Sequence[Record]) -> list[Record | RejectRecord | None]:
        """One result a record."""
        questions = [self._question(record) for record in records]
        wanted = {each: None for each in questions if isinstance(each, str)}
        answers = self._known(list(wanted))
        return [
            each if isinstance(each, RejectRecord) else record if each is None else self._with(record, answers[each])
            for record, each in zip(records, questions, strict=True)
        ]

    def _question(self, record: Record) -> str | RejectRecord | None:
        """As JSON: path and query; None where the record has none."""
        try:
            query = {name: fill(record) for name, fill in self._query.items()}
            question = {"path": self._path(record), **({"query": query} if query else {})}
            return msgspec.json.encode(question).decode()
        except _Untouched:
            return None
        except UnicodeEncodeError:
            return RejectRecord("half a surrogate pair cannot be asked about; `normalize_unicode` takes it out")
        except RejectRecord as error:
            return error

    def _lacks(self, path: str) -> str:
        if self._operator.required:
            raise RejectRecord(f"{path}: required, and missing or null", path)
        raise _Untouched

    def _with(self, record: Record, answer: Any) -> Record | RejectRecord | None:
        value = MISSING if answer is MISSING else self._value(answer) if self._operator.value else answer
        if value is not MISSING and value is not None:
            return self._written(record, deepcopy(value))
        missing = self._operator.missing
        if missing == "reject":
            return RejectRecord(f"{self._operator.path!r}: the API knows nothing of it", self._operator.to)
        if missing in ("null", "default"):
            return self._written(record, deepcopy(self._operator.default) if missing == "default" else None)
        return None if missing == "drop" else record

    def _written(self, record: Record, value: Any) -> Record | RejectRecord:
        try:
            self._put(record, value)
        except RejectRecord as error:
            return error
        return record

    # --- answers

    def _known(self, questions: list[str]) -> dict[str, Any]:
        """The answers to all, those that are known and those that are asked for now."""
        if self._run.answers:
            return {each: _or_missing(self._run.answers(msgspec.json.decode(each))) for each in questions}
        now, ttl = time.monotonic(), self._operator.cache.ttl
        fresh = {each: found for each in questions if (found := self._answers.get(each))}
        if ttl:
            fresh = {each: found for each, found in fresh.items() if now - found[0] < ttl.total_seconds()}
        answers = {each: found[1] for each, found in fresh.items()}
        asked = [each for each in questions if each not in fresh]
        if asked:
            answers |= dict(zip(asked, self._asked(asked), strict=True))
        for each in questions:
            self._answers[each] = fresh.get(each) or (now, answers[each])
            self._answers.move_to_end(each)
        while len(self._answers) > self._operator.cache.size:
            self._answers.popitem(last=False)
        return answers

    def _asked(self, questions: list[str]) -> list[Any]:
        background, client = self._open()
        return background.result(self._ask_all(client, questions))

    def _open(self) -> tuple[Background, Client]:
        """The client, which is kept for the whole stage."""
        from airflow_datahub.http.background import Background

        if self._opened is None:
            background = Background(self._run.closing)
            client = background.result(self._client())
            self._run.closing.callback(lambda: background.result(client.__aexit__(), _CLOSING))
            self._opened = background, client
        return self._opened

    async def _client(self) -> Client:
        """A client belongs to the loop that it is made in."""
        from airflow_datahub.http.client import Client

        operator = self._operator
        return Client(operator.connection, self._run, concurrency=operator.concurrency, rate_limit=operator.rate_limit)

    async def _ask_all(self, client: Client, questions: list[str]) -> list[Any]:
        return await asyncio.gather(*(self._ask(client, msgspec.json.decode(each)) for each in questions))

    async def _ask(self, client: Client, question: dict[str, Any]) -> Any:
        answer, _ = await client.get(question["path"], question.get("query", {}), _read, _NOT_FOUND)
        return answer


def _read(answer: Answer) -> Any:
    from airflow_datahub.http.retrying import TryAgain

    if answer.status in _NOT_FOUND:
        return MISSING
    try:
        return msgspec.json.decode(answer.body)
    except (ValueError, RecursionError) as error:
        raise TryAgain(f"the answer is no JSON ({error}): {answer.start(100)!r}") from error


def _or_missing(answer: Any) -> Any:
    return MISSING if answer is None else answer
