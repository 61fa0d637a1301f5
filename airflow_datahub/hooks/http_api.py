"""The hook of connections of type http-api."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from http import HTTPStatus

from airflow.sdk import BaseHook

from airflow_datahub.contract import Connection, Run
from airflow_datahub.errors import DatahubError
from airflow_datahub.http.client import Answer, Client
from airflow_datahub.operators.handover import connection

NOTHING_THERE = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)


class HttpApiHook(BaseHook):
    """Gives the client that pipelines use to hand-written code, and tests a connection."""

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
        return self._client(connection(self.http_api_conn_id))

    def test_connection(self) -> tuple[bool, str]:
        """Ask the connection's address once: whether it can be used, and what was answered or is to be done."""
        try:
            answer = asyncio.run(self._ask())
        except DatahubError as error:
            return False, str(error)
        return True, f"{answer.shown}: {answer.status} {HTTPStatus(answer.status).phrase}{_caution(answer)}"

    async def _ask(self) -> Answer:
        given = connection(self.http_api_conn_id)
        once = replace(given, extra={**given.extra, "retries": 0, "max_wait": 0})
        async with self._client(once) as client:
            answer, _ = await client.get("", {}, lambda answer: answer, NOTHING_THERE)
        return answer

    def _client(self, given: Connection) -> Client:
        run = Run(pipeline="", run_id="", connections=lambda _: given)
        return Client(given.id, run)


def _caution(answer: Answer) -> str:
    if answer.status not in NOTHING_THERE:
        return ""
    return "; the API is there, but this address itself holds nothing: whether the credentials are right is not known"
