"""Lookups in a whole run, from the command line into PostgreSQL."""

from __future__ import annotations

import json

import psycopg
import pytest

from tests.hostile import Asked, Hostile, Reply, reply
from tests.http.asking import FAST
from tests.world import World

SPEC = """
version: 1
retries: 0
steps:
  - {key: numbers, type: extract, adapter: inline, config: {rows: [ROWS]}}
  - key: enrich
    type: enrich
    operators:
      - set: {field: source, value: test}
      - sql_lookup: {connection: warehouse, table: names, match: {who: id}, select: {name: name}, missing: reject}
      - template: {to: name, template: "<$${name}>"}
      - http_lookup:
          {connection: api, path: "/p/$${product}", value: title, to: title, missing: drop,
           if: {field: product, exists: true}}
  - {key: load, type: load, adapter: postgres, config: {connection: warehouse, table: result, key: [id]}}
"""


def answer(asked: Asked) -> Reply:
    return reply({"title": asked.path}) if asked.path != "/p/4" else reply("", 404)


def world_with(world: World, server: Hostile, rows: int) -> World:
    extra = json.dumps({**FAST, "retries": 0})
    world.environment["AIRFLOW_CONN_API"] = json.dumps(
        {"conn_type": "http", "host": "127.0.0.1", "port": server.port, "extra": extra}
    )
    with psycopg.connect(world.dsn) as session:
        session.execute("create table names (id int primary key, name text)")
        session.execute("insert into names select n, 'name ' || n from generate_series(0, 8) n")
    records = [f"{{id: {n}, who: {n % 10}, product: {n % 5}}}" for n in range(rows)]
    records += [f"{{id: {rows}, who: 1}}", f"{{id: {rows + 1}, who: none}}"]
    world.spec(SPEC.replace("ROWS", ", ".join(records)), "enriched")
    return world


def test_all_records_balance(world: World) -> None:
    with Hostile(answer) as server:
        done = world_with(world, server, 1000).call("run", world.home / "enriched.yaml")
    assert done.returncode == 0, done.stderr
    rows = world.query("select id, name, title, source from result order by id")
    assert [row[0] for row in rows] == [n for n in range(1000) if n % 10 != 9 and n % 5 != 4] + [1000]
    assert rows[0] == (0, "<name 0>", "/p/0", "test")
    assert rows[-1] == (1000, "<name 1>", None, "test")
    assert sorted(asked.path for asked in server.asked) == [f"/p/{n}" for n in range(5)]
    assert world.count("result") == 801, "101 were rejected, 100 dropped"
    rejects = world.call("rejects", "list", "--step", "enrich", "--limit", "1000")
    assert rejects.stdout.count("sql_lookup") == 101, rejects.stdout


@pytest.mark.parametrize("hangs", [True, False])
def test_an_api_out_of_order_ends_the_try_and_the_next_goes_on(world: World, hangs: bool) -> None:
    broken: list[float | bytes] = [30.0] if hangs else [reply("oops", 500)]
    with Hostile(lambda asked: broken) as server:
        world_with(world, server, 20)
        failed = world.call("run", world.home / "enriched.yaml")
        assert failed.returncode == 1
        assert "pipeline 'enriched', step 'enrich': operator 'http_lookup': GET http://127.0.0.1" in failed.stderr
        assert world.count("result") == 0
        broken[:] = [reply({"title": "x"})]
        assert world.call("run", world.home / "enriched.yaml").returncode == 0
    assert world.count("result") == 19


def test_a_test_without_its_answer_says_what_to_write(world: World) -> None:
    spec = SPEC.replace("ROWS", "") + (
        "tests: [{name: t, given: {numbers: [{id: 1, who: 3, product: 4}]}, expect: {load: []}, "
        "answers: {enrich: [{request: {id: 3}, answer: {name: a}}]}}]\n"
    )
    told = world.call("test", world.spec(spec, "enriched"))
    assert told.returncode == 1
    assert """operator 'http_lookup': step 'enrich' asks {"path":"/p/4"}""" in told.stdout
