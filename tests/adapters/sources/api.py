"""What the tests of the source http_api share: the source, its run, servers that page."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import msgspec
import pytest

from airflow_datahub.adapters.sources.http_api import HttpApi
from airflow_datahub.contract import Batch, Connection, Run, Unreadable
from airflow_datahub.engine.projection import Projection
from airflow_datahub.errors import RunError
from tests.hostile import Asked, Hostile, Reply, reply

CURSOR = {"type": "cursor", "param": "cursor", "next": "nextCursor", "more": "hasMore", "limit": 3}
OFFSET = {"type": "offset", "limit": 3}


def source(**fields: Any) -> HttpApi:
    return HttpApi.model_validate({"connection": "api", "path": "/events", "records": "data", **fields})


def run_for(server: Hostile, stopping: threading.Event | None = None, password: str | None = None, **extra: Any) -> Run:
    extra = {"allow_private": True, "retry_delay": 0.01, "timeout": 2, **extra}
    connection = Connection("api", "http", "127.0.0.1", port=server.port, password=password, extra=extra)
    return Run(pipeline="p", run_id="r", connections=lambda _: connection, stopping=stopping or threading.Event())


def read(given: HttpApi, server: Hostile, cursor: Any = None, **extra: Any) -> list[Batch]:
    async def collect() -> list[Batch]:
        return [batch async for batch in cast("Any", given.read(run_for(server, **extra), cursor))]

    return [replace(batch, records=decoded(batch.records)) for batch in asyncio.run(collect())]


def decoded(records: list[Any]) -> list[Any]:
    """What the engine makes of the records of a batch."""
    return Projection().records(records) if records and isinstance(records[0], msgspec.Raw | Unreadable) else records


def ids(batches: list[Batch]) -> list[int]:
    return [cast("Any", record)["id"] for batch in batches for record in decoded(batch.records)]


def rows(start: int, end: int) -> list[dict[str, int]]:
    return [{"id": number} for number in range(start, end)]


def by_cursor(count: int) -> Callable[[Asked], Reply]:
    """Pages of `limit` records; cursors are `c<offset>`."""

    def answer(asked: Asked) -> Reply:
        start, limit = int(asked.query.get("cursor", "c0")[1:]), int(asked.query["limit"])
        end = min(start + limit, count)
        more = end < count
        return reply({"data": rows(start, end), "hasMore": more, "nextCursor": f"c{end}" if more else None})

    return answer


def by_offset(count: int, cap: int = 1000, **values: Any) -> Callable[[Asked], Reply]:
    def answer(asked: Asked) -> Reply:
        start = int(asked.query["offset"])
        return reply({"data": rows(start, min(start + min(int(asked.query["limit"]), cap), count)), **values})

    return answer


def failure(given: HttpApi, answer: Callable[[Asked], Reply], cursor: Any = None, **extra: Any) -> RunError:
    with Hostile(answer) as server, pytest.raises(RunError) as caught:
        read(given, server, cursor, **extra)
    return caught.value
