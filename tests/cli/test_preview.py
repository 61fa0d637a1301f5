"""`preview`: real records through every step, and nothing written anywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from airflow_datahub.demo.mock_api import MockApi
from tests.cli.conftest import Call
from tests.world import EVENTS, EVENTS_ALONE, EVENTS_FIXED, World, http_connection

TRY_IT = EVENTS.parent / "try_it.yaml"
ROWS = """version: 1
steps:
  - key: rows
    type: extract
    adapter: inline
    config: {rows: [{id: 1, name: Ada}, {id: 2, name: Bob}, {id: 3, name: a name that is long}]}
  - {key: load, type: load, adapter: postgres, config: {connection: warehouse, table: people, key: [id]}}
"""


@pytest.fixture
def here(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The world, also for commands in this process."""
    for name, value in world.environment.items():
        monkeypatch.setenv(name, value)
    return world


def rows(call: Call, *arguments: object, code: int = 0) -> dict[str, Any]:
    """What the command says of each step."""
    found, said = call("preview", *arguments, "--json")
    assert found == code, said
    return {row["step"]: row for row in map(json.loads, filter(lambda line: line[0] == "{", said.splitlines()))}


def everything(world: World) -> list[tuple[Any, ...]]:
    """The tables of the database, and what `people` holds."""
    tables = world.query(
        "select schemaname, tablename from pg_tables where schemaname !~ '^(pg_|inform)' order by 1, 2"
    )
    return tables + (world.query("select p::text from people p order by 1") if world.count("people") else [])


def test_records_are_shown_behind_every_step(call: Call) -> None:
    code, said = call("preview", TRY_IT)
    assert (code, said.splitlines()[4:]) == (0, [
        "tidy (transform): 3 in, 1 out, 1 rejected, 1 filtered",
        '  1: {"id": 1, "name": "Ada", "amount": 12.5, "currency": "EUR", "cents": 1250}',
        "  3: rejected by to_number, amount: amount: 'many' (string) is not a number",
        '     {"id": 3, "name": "Cleo", "amount": "many"}',
        "print (load): 1 in, would be 1 inserted",
    ])  # fmt: skip


def test_nothing_is_written_and_few_requests_are_made(call: Call, here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with MockApi(events=5_000) as api:
        monkeypatch.setenv("AIRFLOW_CONN_DATASYNC", http_connection(api))
        found = rows(call, EVENTS, "--limit", "7")
        requests = api.stats()["requests"]
    assert requests <= 2
    assert [found["extract"][name] for name in ("in", "out", "more")] == [7, 7, True]
    assert list(found["tidy"]["records"][0]["record"]) == ["id", "event_type", "timestamp"]
    assert found["load"]["would"]["inserted"] == 7
    [note] = found["load"]["notes"]
    assert note.startswith("table public.ingested_events would be created: id text, event_type text")
    assert "table_created" not in call("preview", EVENTS)[1]
    assert everything(here) == []
    assert list(here.home.iterdir()) == []


def test_what_is_there_already_is_told_and_stays(call: Call, here: World) -> None:
    assert here.call("run", EVENTS, "--limit", "3").returncode == 0
    before = here.query("select version, cursor from _datahub_checkpoint")
    found = rows(call, EVENTS)
    assert (found["load"]["would"]["unchanged"], found["load"]["would"]["inserted"]) == (3, 2)
    assert found["load"]["notes"] == []
    assert here.query("select version, cursor from _datahub_checkpoint") == before
    assert here.count() == 3


@pytest.mark.parametrize(
    ("strategy", "counts"),
    [
        ("insert", {"inserted": 1, "unchanged": 1, "refused": 1}),
        ("upsert", {"inserted": 1, "updated": 1, "refused": 1}),
        ("update", {"updated": 1, "refused": 2}),
        ("delete", {"deleted": 1, "unchanged": 2}),
        ("replace", {"inserted": 2, "refused": 1}),
    ],
)
def test_every_strategy_tells_what_it_would_do(call: Call, here: World, strategy: str, counts: dict[str, int]) -> None:
    here.query("create table people (id bigint primary key, name varchar(10)); insert into people values (1, 'Eve')")
    before = everything(here)
    spec = here.spec(ROWS.replace("key: [id]", f"key: [id], strategy: {strategy}"), "people")
    load = rows(call, spec)["load"]
    assert {name: count for name, count in load["would"].items() if count} == counts
    if "refused" in counts:
        assert load["refused"][-1]["index"] == 2
    assert everything(here) == before


def test_a_column_to_come_is_told_and_not_added(call: Call, here: World) -> None:
    here.query("create table people (id bigint primary key)")
    load = rows(call, here.spec(ROWS.replace("key: [id]", "key: [id], evolution: evolve"), "people"))["load"]
    assert (load["would"], load["notes"]) == (None, ["table public.people would get columns: name text"])


def test_a_sink_out_of_reach_does_not_hide_the_steps(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_WAREHOUSE", raising=False)
    (tmp_path / "people.yaml").write_text(ROWS)
    code, said = call("preview", tmp_path / "people.yaml")
    assert (code, '  2: {"id": 2, "name": "Bob"}' in said) == (1, True)
    assert "error: pipeline 'people', step 'load': connection 'warehouse' is not defined" in said
    assert call("preview", tmp_path / "people.yaml", "--step", "rows")[0] == 0


def test_the_error_of_a_sink_does_not_show_a_secret(
    call: Call, world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    address = urlsplit(world.environment["AIRFLOW_CONN_WAREHOUSE"])
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", address._replace(path="/s3cr3t-of-db").geturl())
    monkeypatch.setattr("airflow_datahub.connections.Connection.secrets", ("s3cr3t-of-db",))
    (tmp_path / "people.yaml").write_text(ROWS)
    code, said = call("preview", tmp_path / "people.yaml")
    assert (code, 'database "***" does not exist' in said, "s3cr3t" in said) == (1, True, False)


def test_a_policy_that_stops_is_told(call: Call, here: World) -> None:
    spec = here.spec(EVENTS_FIXED.replace("type: transform", "type: transform\n    on_error: stop").replace(
        "parse_date: {field: timestamp}", "parse_date: {field: userId}"
    ).partition("tests:")[0])  # fmt: skip
    found = rows(call, spec, code=1)
    assert "(on_error: stop)" in found["tidy"]["stopped"]
    assert "load" not in found


def test_a_page_that_is_smaller_than_the_limit_is_followed_by_the_next(call: Call, here: World) -> None:
    spec = here.spec(EVENTS_ALONE.replace("limit: 1000", "limit: 4"))
    assert rows(call, spec, "--limit", "10", "--step", "extract")["extract"]["out"] == 10


def test_a_step_that_there_is_not_is_a_wrong_call(call: Call) -> None:
    code, said = call("preview", TRY_IT, "--step", "tdy")
    assert (code, "there is no step 'tdy': there are rows, tidy, print" in said) == (2, True)
