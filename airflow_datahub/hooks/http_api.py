"""The hook of connections of type http-api."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from airflow_datahub.contract import Connection, Record, Run
from airflow_datahub.errors import ConfigurationError, DatahubError
from airflow_datahub.masking import Mask
from airflow_datahub.operators.handover import connection, keep_from_logs

if TYPE_CHECKING:  # loading them takes longer than a DAG file may take to parse
    from airflow_datahub.adapters.sources.http_api import HttpApi
    from airflow_datahub.http.client import Answer, Client

NOTHING_THERE = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)


class HttpApiHook(BaseHook):
    """Gives hand-written code what pipelines use to ask an API, and tests a connection.

    All that is asked through one hook shares a token, what is learnt of the API's rate, and a circuit breaker."""

    conn_name_attr = "http_api_conn_id"
    default_conn_name = "http_api_default"
    conn_type = "http-api"
    hook_name = "HTTP API"

    def __init__(self, http_api_conn_id: str = default_conn_name):
        super().__init__()
        self.http_api_conn_id = http_api_conn_id

    def get_conn(self) -> Client:
        """A client that is not open yet, to be made and used in a coroutine: `async with hook.get_conn() as client`.

        Raises ConfigurationError where the connection is wrong or not there."""
        return _client(self.http_api_conn_id, self._run)

    def run(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """The JSON of one answer to GET, None where there is none (204); blocks, with the connection's limits and
        retries. Raises ConfigurationError for what a person must put right, RetryLater, RunFailed."""

        async def work() -> Any:
            async with self.get_conn() as client:
                return (await client.get(path, query or {}, _json))[0]

        return asyncio.run(work())

    def records(self, path: str, **config: Any) -> Iterator[Record]:
        """All records of a list, page by page; `config` are the fields of `http_api` in a spec: `records`, `paging`, ….

        Raises as `run` does, ConfigurationError for a field that is wrong, RunFailed for a record that is no object."""
        from airflow_datahub.hooks.reading import records_of

        return records_of(_source({"connection": self.http_api_conn_id, "path": path, **config}), self._run)

    def test_connection(self) -> tuple[bool, str]:
        """Ask the connection's `test_path` once: whether it can be used, and what was answered or is to be done."""
        try:
            answer = asyncio.run(self._ask())
        except DatahubError as error:
            return False, self._told(str(error))
        return True, self._told(f"{answer.shown}: {answer.status} {HTTPStatus(answer.status).phrase}{_caution(answer)}")

    async def _ask(self) -> Answer:
        from airflow_datahub.http.extra import extra_of

        given = connection(self.http_api_conn_id)
        once = replace(given, extra={**given.extra, "retries": 0, "max_wait": 0})
        async with _client(given.id, self._run_with(lambda _: once)) as client:
            answer, _ = await client.get(extra_of(given).test_path, {}, lambda answer: answer, NOTHING_THERE)
        return answer

    def _told(self, message: str) -> str:
        """Airflow's form has given the connection an id that nobody knows."""
        return message.replace(f"connection {self.http_api_conn_id!r}", "this connection")

    @cached_property
    def _run(self) -> Run:
        return self._run_with(connection)

    def _run_with(self, connections: Callable[[str], Connection]) -> Run:
        return Run(pipeline="", run_id="", connections=connections, log=self.log, mask=Mask(also=keep_from_logs))


def _client(connection_id: str, run: Run) -> Client:
    from airflow_datahub.http.client import Client

    return Client(connection_id, run)


def _source(config: Mapping[str, Any]) -> HttpApi:
    from pydantic import ValidationError

    from airflow_datahub.adapters.sources.http_api import HttpApi

    try:
        return HttpApi.model_validate(config)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise ConfigurationError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _json(answer: Answer) -> Any:
    if answer.status == HTTPStatus.NO_CONTENT:
        return None
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        kind = answer.content_type or "nothing"
        raise ConfigurationError(
            f"{answer.shown}: the answer is not JSON (it claims to be {kind}); is the path right? {answer.start(80)!r}"
        ) from None


def _caution(answer: Answer) -> str:
    if answer.status not in NOTHING_THERE:
        return ""
    return (
        "; the API is there, but nothing is at this address: whether the credentials are right is not known. Give "
        "'test_path' a path that answers, as in /me"
    )
