"""Runs that bring what is new by a field, from an API into PostgreSQL; the mark stands beside the cursor."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_datahub.demo.mock_api import MockApi
from tests.hostile import Asked, Hostile, Reply, reply
from tests.world import World

SPEC = """
version: 1
throughput: {concurrency: 4, batch_size: 7}
steps:
  - key: extract
    type: extract
    adapter: http_api
    config:
      connection: api
      path: /rows
      records: rows
      paging: {type: page, limit: 5, pages: pages}
      mark: {field: at, param: since, lag: 10s}
      on_quota: stop
  - key: load
    type: load
    adapter: postgres
    config: {connection: warehouse, table: rows, strategy: append, columns: {id: integer, at: timestamptz}}
"""


class Api:
    """Rows that only grow in number; `broken` answers are errors, `closed` ones say that the quota is used up."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.asked: list[Asked] = []
        self.broken: set[str] = set()
        self.closed = False

    def add(self, *seconds: int) -> None:
        for second in seconds:
            at = f"2024-01-01T00:{second // 60:02}:{second % 60:02}Z"
            self.rows.append({"id": len(self.rows), "at": at})

    def __call__(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        page, limit = int(asked.query["page"]), int(asked.query["limit"])
        if asked.query["page"] in self.broken:
            return reply("out of order", 500)
        if self.closed and page > 2:
            return reply("enough for today", 429, retry_after="86400")
        rows = [row for row in self.rows if row["at"] >= asked.query.get("since", "")]
        return reply({"rows": rows[(page - 1) * limit : page * limit], "pages": -(-len(rows) // limit)})


@pytest.fixture
def api() -> Iterator[Api]:
    api = Api()
    with Hostile(api) as server:
        api.port = server.port  # type: ignore[attr-defined]
        yield api


@pytest.fixture
def rows(tmp_path: Path, database: str, mock_api: MockApi, api: Any) -> World:
    extra = {"allow_private": True, "retries": 0}
    connection = json.dumps({"conn_type": "http", "host": f"http://127.0.0.1:{api.port}", "extra": extra})
    return World(tmp_path, database, mock_api, {"AIRFLOW_CONN_API": connection})


def ids(world: World) -> list[int]:
    return [id for (id,) in world.query("select id from rows order by ctid")]


def test_each_run_brings_what_is_new_once(rows: World, api: Api) -> None:
    spec = rows.spec(SPEC, "rows")
    api.add(*range(100, 123))
    assert rows.call("run", spec).returncode == 0
    assert ids(rows) == list(range(23))
    ((cursor, mark),) = rows.query("select cursor->'at', mark from _datahub_checkpoint")
    assert cursor == {"since": "2024-01-01T00:01:52Z"}
    assert mark["value"] == "2024-01-01T00:02:02Z"
    api.add(122, 115, 130)
    assert rows.call("run", spec).returncode == 0
    assert api.asked[-1].query["since"] == "2024-01-01T00:01:52Z"
    assert ids(rows) == list(range(26))
    asked = len(api.asked)
    assert "complete: 0 records" in rows.call("run", spec).stderr
    assert len(api.asked) == asked + 1
    assert ids(rows) == list(range(26))


def test_a_run_that_fails_in_the_middle_goes_on_there(rows: World, api: Api) -> None:
    spec = rows.spec(SPEC, "rows")
    api.add(*range(100, 123))
    api.broken = {"4"}
    assert rows.call("run", spec).returncode == 1
    assert ids(rows) == list(range(15))
    api.broken = set()
    assert rows.call("run", spec).returncode == 0
    assert ids(rows) == list(range(23))


def test_a_used_up_quota_ends_the_run_well(rows: World, api: Api) -> None:
    spec = rows.spec(SPEC, "rows")
    api.add(*range(100, 123))
    api.closed = True
    run = rows.call("run", spec)
    assert run.returncode == 0, run.stderr
    assert "quota_used_up" in run.stderr
    assert ids(rows) == list(range(10))
    api.closed = False
    assert rows.call("run", spec).returncode == 0
    assert ids(rows) == list(range(23))


def test_full_forgets_the_mark(rows: World, api: Api) -> None:
    spec = rows.spec(SPEC, "rows")
    api.add(*range(100, 107))
    rows.call("run", spec)
    assert rows.call("run", spec, "--full").returncode == 0
    assert "since" not in api.asked[-1].query
    assert ids(rows) == [*range(7), *range(7)]
