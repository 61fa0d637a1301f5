"""Lookups, against a server of HTTP and one of PostgreSQL: what is asked, how often, and what comes of the answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import ValidationError

from airflow_datahub import environment
from airflow_datahub.contract import Connection, Record, Run, UndefinedConnection
from airflow_datahub.errors import ConfigurationError, Interrupted, RejectRecord, RetryLater, RunFailed
from tests.adapters.transforms.operators import operator
from tests.hostile import Asked, Hostile, Reply, reply
from tests.http.asking import connection


def run_of(**more: Any) -> Run:
    return Run(pipeline="p", run_id="r", **more)


def served(run: Run, name: str, records: Sequence[Record], **fields: Any) -> list[Any]:
    """What becomes of a batch; a reject is given by its reason."""
    with ExitStack() as closing:
        batch = operator(name, **fields).compile_batch(replace(run, closing=closing))
        assert batch
        return [each.reason if isinstance(each, RejectRecord) else each for each in batch([dict(r) for r in records])]


# --- http_lookup


def customers(asked: Asked) -> Reply:
    number = asked.path.rpartition("/")[2]
    if number == "404":
        return reply({"error": "nobody"}, 404)
    return reply({"id": number, "name": {"first": f"Ann {number}"}, "asked": asked.query})


@pytest.fixture
def server() -> Iterator[Hostile]:
    with Hostile(customers) as server:
        yield server


def asking(server: Hostile, **extra: Any) -> Run:
    own = connection(server.port, **{"retries": 0, **extra})
    return run_of(connections=lambda name: own)


NAME = {"connection": "c", "path": "/customers/${customer}", "value": "name.first", "to": "name"}


def test_each_question_is_asked_once(server: Hostile) -> None:
    records = [{"customer": number % 7} for number in range(1000)]
    made = served(asking(server), "http_lookup", records, **NAME)
    assert made == [{"customer": n % 7, "name": f"Ann {n % 7}"} for n in range(1000)]
    assert sorted(asked.path for asked in server.asked) == [f"/customers/{n}" for n in range(7)]


def test_answers_are_kept_for_the_run(server: Hostile) -> None:
    with ExitStack() as closing:
        batch = operator("http_lookup", **NAME).compile_batch(replace(asking(server), closing=closing))
        assert batch
        assert batch([{"customer": 1}, {"customer": 2}])[1] == {"customer": 2, "name": "Ann 2"}
        assert batch([{"customer": 2}, {"customer": 3}])[0] == {"customer": 2, "name": "Ann 2"}
        assert batch([]) == []
    assert len(server.asked) == 3


@pytest.mark.parametrize(("cache", "asked"), [({"ttl": "1s"}, 4), ({"size": 1}, 4), ({}, 2)])
def test_the_cache_has_a_time_and_a_size(server: Hostile, cache: dict[str, Any], asked: int) -> None:
    with ExitStack() as closing:
        lookup = operator("http_lookup", **NAME, cache=cache)
        batch = lookup.compile_batch(replace(asking(server), closing=closing))
        assert batch
        batch([{"customer": 1}, {"customer": 2}])
        batch([{"customer": 2}])
        time.sleep(1.1)
        batch([{"customer": 1}])
        batch([{"customer": 2}, {"customer": 1}])
    assert len(server.asked) == asked


def test_values_are_quoted_in_the_path_and_the_query(server: Hostile) -> None:
    fields = {**NAME, "path": "/x/${a.b}", "query": {"q": "${c}", "fixed": "1"}, "value": "asked", "to": "got"}
    (made,) = served(asking(server), "http_lookup", [{"a": {"b": "../ä?x=1/y"}, "c": "1&d=2"}], **fields)
    assert made["got"] == {"q": "1&d=2", "fixed": "1"}
    assert server.asked[0].target.startswith("/x/..%2F%C3%A4%3Fx%3D1%2Fy?")


@pytest.mark.parametrize(
    ("fields", "result"),
    [
        ({}, {"customer": 404}),
        ({"missing": "null"}, {"customer": 404, "name": None}),
        ({"missing": "default", "default": {"a": [1]}}, {"customer": 404, "name": {"a": [1]}}),
        ({"missing": "drop"}, None),
        ({"missing": "reject"}, "'/customers/${customer}': the API knows nothing of it"),
    ],
)
def test_what_the_api_does_not_know(server: Hostile, fields: dict[str, Any], result: Any) -> None:
    records = [{"customer": 404}, {"customer": 1}]
    assert served(asking(server), "http_lookup", records, **NAME, **fields) == [
        result,
        {"customer": 1, "name": "Ann 1"},
    ]


def test_a_record_without_its_value_is_not_asked_about(server: Hostile) -> None:
    records: list[Record] = [{"customer": None}, {}, {"customer": {}}, {"customer": 1}, {"customer": "\ud800"}]
    made = served(asking(server), "http_lookup", records, **NAME)
    assert made[:2] == [{"customer": None}, {}]
    assert "no single value" in made[2]
    assert "surrogate" in made[4]
    assert "missing or null" in served(asking(server), "http_lookup", records, **NAME, required=True)[1]
    assert {asked.path for asked in server.asked} == {"/customers/1"}


def test_no_more_requests_at_once_than_allowed() -> None:
    at_once, most, lock = 0, 0, threading.Lock()

    def answer(asked: Asked) -> Iterator[Any]:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        yield 0.02
        with lock:
            at_once -= 1
        yield reply({"name": {"first": "x"}})

    with Hostile(answer) as server:
        served(asking(server), "http_lookup", [{"customer": n} for n in range(40)], **NAME, concurrency=3)
    assert 2 <= most <= 3


def test_it_keeps_to_a_rate(server: Hostile) -> None:
    began = time.monotonic()
    served(asking(server), "http_lookup", [{"customer": n} for n in range(20)], **NAME, rate_limit=20)
    assert time.monotonic() - began > 0.4


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (reply("oops", 500), RunFailed, "500"),
        (reply("{", 200), RunFailed, "no JSON"),
        (reply("no", 403), ConfigurationError, "403"),
        (reply("later", 429, retry_after="3600"), RetryLater, "3600|later"),
    ],
)
def test_an_api_that_is_out_of_order_ends_the_try(answer: bytes, error: type[Exception], message: str) -> None:
    with Hostile(lambda asked: answer) as server, pytest.raises(error, match=message):
        served(asking(server), "http_lookup", [{"customer": 1}], **NAME)


def test_a_server_that_hangs_is_given_up() -> None:
    with Hostile(lambda asked: [60.0]) as server, pytest.raises(RunFailed):
        served(asking(server, timeout=0.3), "http_lookup", [{"customer": 1}], **NAME)


def test_an_open_breaker_makes_it_wait_without_asking() -> None:
    with Hostile(lambda asked: reply("oops", 500)) as server:
        run = asking(server, breaker_failures=2)
        for _ in range(2):
            with pytest.raises(RunFailed):
                served(run, "http_lookup", [{"customer": 1}], **NAME)
        with pytest.raises(RetryLater):
            served(run, "http_lookup", [{"customer": 1}], **NAME)
        assert len(server.asked) == 2


def test_a_stop_ends_its_waiting() -> None:
    with Hostile(lambda asked: [60.0]) as server:
        run = asking(server)
        threading.Timer(0.3, run.stopping.set).start()
        began = time.monotonic()
        with pytest.raises(Interrupted):
            served(run, "http_lookup", [{"customer": 1}], **NAME)
        assert time.monotonic() - began < 2


# --- sql_lookup


@pytest.fixture
def warehouse(database: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("AIRFLOW_CONN_W", database)
    with psycopg.connect(database) as session:
        session.execute(
            """create schema "Shop";
            create table "Shop"."Customers"
              (id int, country text, name text, since timestamptz, score numeric, tags jsonb);
            insert into "Shop"."Customers" select n, 'DE', 'Ann ' || n, '2024-01-15', n / 4.0, '["a"]'
              from generate_series(1, 3000) n;
            insert into "Shop"."Customers" values (7, 'DE', 'Bob', null, null, null)"""
        )
    return run_of(connections=environment.connection)


ROW = {"connection": "w", "table": "Shop.Customers", "match": {"customer": "id"}, "select": ["name"]}


def test_rows_are_found_for_a_whole_batch(warehouse: Run) -> None:
    values: list[Any] = [1, "2", 3.0, Decimal("4.0"), None, 9999]
    made = served(warehouse, "sql_lookup", [{"customer": value} for value in values], **ROW)
    assert [each.get("name") for each in made] == ["Ann 1", "Ann 2", "Ann 3", "Ann 4", None, None]


def test_a_batch_is_one_query(warehouse: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    statements = []
    execute = psycopg.Connection.execute

    def counted(self: Any, query: Any, *rest: Any, **more: Any) -> Any:
        statements.append(query if isinstance(query, str) else query.as_string(self))
        return execute(self, query, *rest, **more)

    monkeypatch.setattr(psycopg.Connection, "execute", counted)
    records = [{"customer": n % 2900 + 8} for n in range(10_000)]
    made = served(warehouse, "sql_lookup", records, **ROW)
    assert [each["name"] for each in made] == [f"Ann {n % 2900 + 8}" for n in range(10_000)]
    assert len([each for each in statements if "unnest" in each]) == 3


def test_values_come_as_json(warehouse: Run) -> None:
    fields = {**ROW, "select": {"name": "who.name", "since": "since", "score": "score", "tags": "tags"}}
    (made,) = served(warehouse, "sql_lookup", [{"customer": 2}], **fields)
    assert made == {
        "customer": 2, "who": {"name": "Ann 2"}, "since": "2024-01-15T00:00:00Z", "score": Decimal("0.5"),
        "tags": ["a"],
    }  # fmt: skip


def test_a_value_that_its_column_cannot_hold_rejects_its_record_alone(warehouse: Run) -> None:
    values: list[Any] = [1, "x", 2.5, 7, [1], 3, 2**80, "\x00", "\ud800"]
    made = served(warehouse, "sql_lookup", [{"customer": value} for value in values], **ROW)
    assert [each["name"] if isinstance(each, dict) else "rejected" for each in made] == [
        "Ann 1", "rejected", "rejected", "rejected", "rejected", "Ann 3", "rejected", "rejected", "rejected",
    ]  # fmt: skip
    assert "several rows" in made[3]


def test_several_columns_find_a_row(warehouse: Run) -> None:
    fields = {**ROW, "match": {"customer": "id", "land": "country"}}
    records = [{"customer": 1, "land": "DE"}, {"customer": 1, "land": "FR"}]
    assert [each.get("name") for each in served(warehouse, "sql_lookup", records, **fields)] == ["Ann 1", None]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"table": "nothing"}, 'relation "nothing" does not exist'),
        ({"select": ["nam"]}, "has no column 'nam'; it has id, country, name"),
        ({"connection": "absent"}, "'absent' is not defined"),
    ],
)
def test_what_is_not_there_is_told(warehouse: Run, fields: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigurationError, UndefinedConnection), match=message):
        served(warehouse, "sql_lookup", [{"customer": 1}], **{**ROW, **fields})


# --- reference


COUNTRY = {"match": {"country": "code"}, "select": {"name": "land"}}
FILES = {
    "a.csv": "code,name\nDE,Germany\n49,Number\n",
    "a.json": '[{"code": "DE", "name": "Germany"}, {"code": 49, "name": "Number"}]',
    "a.jsonl": '{"code": "DE", "name": "Germany"}\n\n{"code": 49, "name": "Number"}\n',
}


@pytest.mark.parametrize("file", FILES)
def test_a_file_beside_the_spec_is_read(file: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text(FILES[file])
    run = run_of(folder=tmp_path)
    refer = operator("reference", file=file, **COUNTRY, missing="null").compile(run)
    assert [refer({"country": value}) for value in ("DE", 49, "XX")] == [
        {"country": "DE", "land": "Germany"}, {"country": 49, "land": "Number"}, {"country": "XX", "land": None},
    ]  # fmt: skip


def test_a_table_is_read_once(warehouse: Run) -> None:
    fields = {"connection": "w", "table": "Shop.Customers", "match": {"customer": "name"}, "select": ["score"]}
    refer = operator("reference", **fields).compile(warehouse)
    assert refer({"customer": "Ann 8"}) == {"customer": "Ann 8", "score": Decimal(2)}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "code\nDE\n", "row 1 of a.csv has no 'name'"),
        ("a.csv", "code,name\nDE,x\nDE,y\n", "row 2 of a.csv: DE is there twice"),
        ("a.json", '{"code": 1}', "no list of mappings"),
        ("a.json", '[{"code": [1], "name": 2}]', "row 1 of a.json: code"),
        ("a.jsonl", "1\n", "line 1 holds no mapping"),
        ("a.jsonl", "{\n", "cannot be read"),
        ("b.csv", "", "cannot be read"),
    ],
)
def test_a_file_that_is_no_table_is_told(name: str, text: str, message: str, tmp_path: Path) -> None:
    if name != "b.csv":
        (tmp_path / name).write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        operator("reference", file=name, **COUNTRY).compile(run_of(folder=tmp_path))


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("reference", {**COUNTRY}, "takes `rows`, `file`, or"),
        ("reference", {**COUNTRY, "file": "a.xlsx"}, "must end with one of"),
        ("reference", {**COUNTRY, "file": "a.csv", "missing": "default"}, "go together"),
        ("sql_lookup", {**ROW, "table": "a.b.c"}, "pattern"),
        ("sql_lookup", {**ROW, "match": {}}, "at least 1"),
        ("http_lookup", {**NAME, "path": "/x/${a"}, "without its"),
        ("http_lookup", {**NAME, "default": 1}, "go together"),
    ],
)
def test_wrong_fields_are_told(name: str, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        operator(name, **fields)


def test_what_a_connection_lacks_is_told() -> None:
    run = run_of(connections=lambda name: Connection(name, "ftp"))
    with pytest.raises(ConfigurationError, match="'w'"):
        served(run, "sql_lookup", [{"customer": 1}], **ROW)
