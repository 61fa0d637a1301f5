"""The PostgreSQL sink on a real server: strategies, tables, values, records that are refused."""

from __future__ import annotations

import itertools
import json
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_datahub.contract import Batch
from airflow_datahub.errors import ConfigurationError
from tests.adapters.sinks.warehouse import Warehouse, commit

EVENTS = {
    "id": "text",
    "event_type": "text",
    "timestamp": "timestamptz",
    "data": {"type": "jsonb", "null": False, "from": "$"},
    "ingested_at": {"type": "timestamptz", "default": "now()"},
}


# strategies


def test_insert_keeps_what_is_there(warehouse: Warehouse) -> None:
    first = warehouse.load({"id": "a", "n": 1}, {"id": "b", "n": 1})
    again = warehouse.load({"id": "b", "n": 2}, {"id": "c", "n": 2})
    assert (first.inserted, again.inserted, again.unchanged) == (2, 1, 1)
    assert warehouse.sql("select id, n from events order by id") == [("a", 1), ("b", 1), ("c", 2)]


def test_upsert_overwrites_and_tells_the_two_apart(warehouse: Warehouse) -> None:
    warehouse.load({"id": "a", "n": 1}, {"id": "b", "n": 1}, strategy="upsert")
    written = warehouse.load({"id": "b", "n": 2}, {"id": "c", "n": 2}, strategy="upsert")
    assert (written.inserted, written.updated, written.unchanged) == (1, 1, 0)
    assert warehouse.sql("select id, n from events order by id") == [("a", 1), ("b", 2), ("c", 2)]


def test_append_takes_everything(warehouse: Warehouse) -> None:
    for _ in range(2):
        assert warehouse.load({"id": "a"}, {"id": "a"}, strategy="append", key=[]).inserted == 2
    assert warehouse.sql("select count(*) from events") == [(4,)]


def test_upsert_of_keys_alone_changes_nothing(warehouse: Warehouse) -> None:
    warehouse.load({"id": "a"}, strategy="upsert")
    written = warehouse.load({"id": "a"}, {"id": "b"}, strategy="upsert")
    assert (written.inserted, written.unchanged) == (1, 1)


@pytest.mark.parametrize(("strategy", "kept"), [("insert", 1), ("upsert", 3)])
def test_one_key_several_times_in_a_batch(warehouse: Warehouse, strategy: str, kept: int) -> None:
    records = [{"id": "a", "n": 1}, {"id": "b", "n": 9}, {"id": "a", "n": 2}, {"id": "a", "n": 3}]
    written = warehouse.load(*records, strategy=strategy)
    assert (written.inserted, written.merged) == (2, 2)
    assert warehouse.sql("select id, n from events order by id") == [("a", kept), ("b", 9)]


def test_keys_that_only_postgresql_knows_to_be_equal(warehouse: Warehouse) -> None:
    warehouse.sql("create table events (id uuid primary key, n int)")
    key = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
    written = warehouse.load({"id": key, "n": 1}, {"id": key.upper(), "n": 2}, strategy="upsert")
    assert (written.inserted, written.merged) == (1, 1)
    assert warehouse.sql("select n from events") == [(2,)]


def test_a_key_of_two_columns(warehouse: Warehouse) -> None:
    records = [{"a": 1, "b": "x", "n": 1}, {"a": 1, "b": "y", "n": 1}, {"a": 1, "b": "x", "n": 2}]
    written = warehouse.load(*records, key=["a", "b"], strategy="upsert")
    assert (written.inserted, written.merged) == (2, 1)
    assert warehouse.sql("select a, b, n from events order by b") == [(1, "x", 2), (1, "y", 1)]


def test_a_partitioned_table(warehouse: Warehouse) -> None:
    warehouse.sql("create table events (id int primary key, n int) partition by range (id)")
    warehouse.sql("create table low partition of events for values from (0) to (10)")
    warehouse.load({"id": 1, "n": 1}, strategy="upsert")
    written = warehouse.load({"id": 1, "n": 2}, {"id": 2, "n": 2}, {"id": 99, "n": 2}, strategy="upsert")
    assert (written.inserted, written.updated, len(written.refused)) == (1, 1, 1)


# tables


def test_the_created_table_is_what_the_spec_says(warehouse: Warehouse) -> None:
    origin = {"id": "a", "type": "click", "timestamp": 1705312200000, "user": {"x": [1]}}
    record = {"id": "a", "event_type": "click", "timestamp": "2024-01-15T09:50:00Z"}
    before = datetime.now(UTC) - timedelta(seconds=5)
    warehouse.load_batch(Batch([record], origins=[origin]), columns=EVENTS)
    assert warehouse.columns() == [
        ("id", "text", True, None),
        ("event_type", "text", False, None),
        ("timestamp", "timestamp with time zone", False, None),
        ("data", "jsonb", True, None),
        ("ingested_at", "timestamp with time zone", False, "now()"),
    ]
    key = "select pg_get_indexdef(indexrelid) from pg_index where indrelid = 'events'::regclass and indisprimary"
    assert warehouse.sql(key)[0][0].endswith("btree (id)")
    assert warehouse.sql("select attcollation::regcollation::text from pg_attribute where attname = 'id' and "
                         "attrelid = 'events'::regclass") == [('"C"',)]  # fmt: skip
    row = warehouse.sql("select id, event_type, timestamp, data, ingested_at from events")[0]
    assert row[:4] == ("a", "click", datetime(2024, 1, 15, 9, 50, tzinfo=UTC), origin)
    assert row[4] > before


def test_types_are_inferred_from_the_first_batch(warehouse: Warehouse) -> None:
    first: dict[str, Any] = {
        "id": 1,
        "flag": True,
        "big": 2**70,
        "x": 1,
        "s": "t",
        "l": [1],
        "none": None,
        "mixed": "a",
        "o": {},
    }
    second: dict[str, Any] = {
        "id": 2,
        "flag": None,
        "big": 1,
        "x": 1.5,
        "s": None,
        "l": {},
        "mixed": 1,
        "when": datetime(2024, 1, 1),
    }
    warehouse.load(first, second, columns={"declared": "numeric(10,2)"})
    types = {name: type for name, type, _, _ in warehouse.columns()}
    assert list(types) == ["id", "declared", "flag", "big", "x", "s", "l", "none", "mixed", "o", "when"]
    assert types | {"when": ""} == {
        "id": "bigint", "declared": "numeric(10,2)", "flag": "boolean", "big": "numeric", "x": "double precision",
        "s": "text", "l": "jsonb", "none": "text", "mixed": "jsonb", "o": "jsonb", "when": "",
    }  # fmt: skip
    assert warehouse.sql("select big, l, mixed from events order by id") == [(2**70, [1], "a"), (1, {}, 1)]


def test_a_first_batch_without_any_key_creates_nothing(warehouse: Warehouse) -> None:
    writer = warehouse.open()
    assert len(commit(writer, Batch([{"n": 1}]), 1).refused) == 1
    assert warehouse.sql("select to_regclass('events')") == [(None,)]
    assert commit(writer, Batch([{"id": 1, "n": 1}]), 2).inserted == 1
    writer.close()


def test_defaults_stand_where_no_record_has_the_field(warehouse: Warehouse) -> None:
    columns = {
        "n": {"type": "integer", "default": 7},
        "s": {"type": "text", "default": "'it''s'"},
        "u": {"type": "uuid", "default": "gen_random_uuid()"},
        "b": {"type": "boolean", "default": True},
    }
    warehouse.load({"id": 1}, columns=columns)
    warehouse.load({"id": 2, "n": None}, {"id": 3}, columns=columns)
    assert warehouse.sql("select id, n, s, u is not null, b from events order by id") == [
        (1, 7, "it's", True, True), (2, None, "it's", True, True), (3, None, "it's", True, True),
    ]  # fmt: skip


def test_values_from_paths(warehouse: Warehouse) -> None:
    columns = {"city": {"type": "text", "from": "address.city"}, "first": {"type": "text", "from": "names.0"}}
    warehouse.load({"id": 1, "address": {"city": "Ulm"}, "names": ["a", "b"]}, {"id": 2}, columns=columns)
    assert warehouse.sql("select * from events order by id") == [(1, "Ulm", "a"), (2, None, None)]


def test_generated_columns_are_left_alone(warehouse: Warehouse) -> None:
    warehouse.sql(
        "create table events (id int primary key, n int, double int generated always as (n * 2) stored,"
        " serial int generated always as identity)"
    )
    warehouse.load({"id": 1, "n": 2, "double": 5})
    assert warehouse.sql("select * from events") == [(1, 2, 4, 1)]


def test_an_unknown_field_stops_and_names_the_ways_out(warehouse: Warehouse) -> None:
    warehouse.load({"id": 1})
    with pytest.raises(ConfigurationError, match=r"no column for the field 'extra'.*ADD COLUMN.*remove.*from: \$"):
        warehouse.load({"id": 2, "extra": 1})
    assert warehouse.sql("select id from events") == [(1,)]


def test_a_column_of_the_whole_record_takes_every_field(warehouse: Warehouse) -> None:
    columns = {"data": {"type": "jsonb", "from": "$"}}
    warehouse.load({"id": 1}, columns=columns)
    assert warehouse.load({"id": 2, "extra": 1}, columns=columns).inserted == 1
    assert warehouse.sql("select data from events order by id") == [({"id": 1},), ({"id": 2, "extra": 1},)]


# values


def test_origins_of_every_form(warehouse: Warehouse) -> None:
    texts = ['{"id": 1, "t": "a\\tb\\n\\"c\\\\"}', '{"id":\n\t2}', '{"id": 3}', '{"id": 4, "é": "\\u00e9😀"}']
    origins: list[Any] = [texts[0].encode(), msgspec.Raw(texts[1].encode()), memoryview(texts[2].encode())]
    batch = Batch([{"id": i} for i in (1, 2, 3, 4)], origins=[*origins, json.loads(texts[3])])
    warehouse.load_batch(batch, columns={"data": {"type": "jsonb", "from": "$"}})
    assert [row[0] for row in warehouse.sql("select data from events order by id")] == list(map(json.loads, texts))


def test_python_values_arrive(warehouse: Warehouse) -> None:
    moment = datetime(2024, 1, 15, 9, 50, 0, 123, tzinfo=UTC)
    columns = {"d": "numeric", "b": "bytea", "t": "text[]", "m": "integer[]", "j": "text", "f": "double precision",
               "p": "interval", "on": "date", "js": "jsonb[]", "flag": "text"}  # fmt: skip
    record = {"id": 1, "d": Decimal("1.10"), "b": b"\x00\\\xff", "t": ['a"b', "c\\,d\n", None, ""],
              "m": [[1, 2], [3, 4]], "j": {"a": [None]}, "f": float("inf"), "when": moment,
              "p": timedelta(days=1, seconds=2), "flag": False,
              "on": date(2024, 2, 29), "js": [{"a": 'x"y'}, None]}  # fmt: skip
    assert warehouse.load(record, columns=columns).inserted == 1
    assert warehouse.sql('select d, b, t, m, j, f, "when", p, "on", js, flag from events')[0] == (
        Decimal("1.10"), b"\x00\\\xff", ['a"b', "c\\,d\n", None, ""], [[1, 2], [3, 4]], '{"a":[null]}', float("inf"),
        moment, timedelta(days=1, seconds=2), date(2024, 2, 29), [{"a": 'x"y'}, None], "false",
    )  # fmt: skip


_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12) | st.sampled_from(
    ["\\N", "\\.", "\t", "a\nb", "\r\n", "\\", "'", '"', "null", "\\x41", "\u2028", "😀\\t"]
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1000, 1000, width=32) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)


def test_every_text_and_json_comes_back(warehouse: Warehouse) -> None:
    columns = {"run": "integer", "n": "integer", "s": "text", "j": "jsonb"}
    writer, versions = warehouse.open(strategy="append", key=[], columns=columns), itertools.count(1)

    @settings(max_examples=60, deadline=None, database=None)
    @given(
        st.lists(st.tuples(_TEXT | st.none(), _JSON.filter(lambda value: value is not None)), min_size=1, max_size=6)
    )
    def comes_back(values: list[tuple[str | None, Any]]) -> None:
        run = next(versions)
        records = [{"run": run, "n": n, "s": s, "j": j} for n, (s, j) in enumerate(values)]
        written = commit(writer, Batch(records), run)
        assert written.inserted == len(values), written.refused
        assert session.execute("select s, j from events where run = %s order by n", [run]).fetchall() == values

    with psycopg.connect(warehouse.dsn, autocommit=True) as session:
        comes_back()
    writer.close()


# records that are refused

POISON = {"id": "text", "n": "integer", "s": "varchar(5)", "j": "jsonb", "t": "timestamptz"}


@pytest.mark.parametrize(
    ("bad", "field", "reason"),
    [
        ({"n": "twelve"}, "n", "invalid input syntax"),
        ({"n": 2**40}, "n", "out of range"),
        ({"s": "sixsix"}, "s", "too long"),
        ({"s": "a\0b"}, "s", "NUL"),
        ({"s": "\ud800"}, "s", "surrogate"),
        ({"j": {"a": "x\0"}}, "j", "u0000"),
        ({"j": {"a": "\udfff"}}, "j", "surrogate"),
        ({"j": {"a": [float("nan")]}}, "j", "NaN"),
        ({"j": object()}, "j", "cannot be written"),
        ({"j": msgspec.Raw(b'{"a": ')}, "j", "json"),
        ({"j": msgspec.Raw(b'"\xff"')}, "j", "UTF-8"),
        ({"n": 10**5000}, "n", "cannot be written"),
        ({"t": "yesterday-ish"}, "t", "invalid input syntax"),
        ({"id": None}, "id", "key 'id' is missing"),
        ({"n": -1}, None, "positive"),
        ({"s": None}, "s", "null value"),
        ({"s": "taken"}, None, "only_once"),
    ],
)
def test_a_bad_record_costs_only_itself(warehouse: Warehouse, bad: dict[str, Any], field: str, reason: str) -> None:
    warehouse.sql(
        "create table events (id text primary key, n integer constraint positive check (n > 0), s varchar(5) not null"
        " constraint only_once unique, j jsonb, t timestamptz)"
    )
    good = {"n": 1, "j": {}, "t": "2024-01-01"}
    records = [{**good, "id": str(i), "s": f"s{i}"} for i in range(50)]
    records[7]["s"] = "taken"
    records[31] = {**records[31], **bad}
    written = warehouse.load(*records)
    assert [(r.index, r.field) for r in written.refused] == [(31, field)]
    assert reason in written.refused[0].reason
    assert warehouse.sql("select count(*) from events") == [(49,)]


def test_a_missing_key_is_refused(warehouse: Warehouse) -> None:
    written = warehouse.load({"id": 1}, {"n": 2}, columns={"n": "integer"})
    assert [(r.index, r.reason) for r in written.refused] == [(1, "key 'id' is missing")]


@pytest.mark.parametrize("strategy", ["insert", "upsert"])
def test_a_bad_record_does_not_take_those_folded_into_it_along(warehouse: Warehouse, strategy: str) -> None:
    order: list[dict[str, Any]] = [
        {"id": 1, "n": "bad"},
        {"id": 1, "s": "\ud800"},
        {"id": 1, "n": 5},
        {"id": 2, "n": 1},
    ]
    records = order if strategy == "insert" else order[::-1]
    written = warehouse.load(*records, strategy=strategy, columns={"n": "integer", "s": "text"})
    assert (len(written.refused), written.merged, written.inserted) == (2, 0, 2)
    assert warehouse.sql("select id, n from events order by id") == [(1, 5), (2, 1)]


def test_deferred_constraints_are_found_too(warehouse: Warehouse) -> None:
    warehouse.sql(
        "create table parents (id int primary key); insert into parents values (1);"
        "create table events (id int primary key, parent int references parents deferrable initially deferred)"
    )
    written = warehouse.load({"id": 1, "parent": 1}, {"id": 2, "parent": 2}, {"id": 3, "parent": 1})
    assert [r.index for r in written.refused] == [1]
    assert warehouse.sql("select id from events order by id") == [(1,), (3,)]


@pytest.mark.parametrize("bad", [{"n": "x"}, {"n": -1}], ids=["by COPY", "by INSERT"])
@pytest.mark.parametrize("every", [1, 20])
def test_many_bad_records_end_quickly(warehouse: Warehouse, bad: dict[str, Any], every: int) -> None:
    warehouse.sql("create table events (id int primary key, n int check (n > 0))")
    count = 600
    records: list[dict[str, Any]] = [{"id": i, "n": 1, **(bad if i % every == 0 else {})} for i in range(count)]
    start = time.monotonic()
    written = warehouse.load(*records, strategy="upsert")
    assert [r.index for r in written.refused] == list(range(0, count, every))
    assert written.inserted == count - count // every
    assert time.monotonic() - start < 20


def test_json_in_columns_of_text_is_escaped_once(warehouse: Warehouse) -> None:
    warehouse.sql("create table events (id int primary key, t text, a text[])")
    value = {"a": 'x"y\\z\n\t', "b": ["\\N", None]}
    warehouse.load({"id": 1, "t": value, "a": [value, 'x"\\']})
    text, (element, plain) = warehouse.sql("select t, a from events")[0]
    assert (json.loads(text), json.loads(element), plain) == (value, value, 'x"\\')


@pytest.mark.parametrize("type", ["text", "text[]", "jsonb", "jsonb[]"])
def test_json_without_a_text_for_not_a_number_is_refused_in_every_column(warehouse: Warehouse, type: str) -> None:
    warehouse.sql(f"create table events (id int primary key, x {type})")
    written = warehouse.load({"id": 1, "x": [{"n": float("nan")}]}, {"id": 2, "x": [{"n": None}]})
    assert [(r.index, r.reason, r.field) for r in written.refused] == [
        (0, "cannot be written: JSON has no NaN and no infinity", "x")
    ]


@pytest.mark.parametrize("strategy", ["upsert", "update"])
def test_rows_are_counted_once_where_another_takes_the_place_of_one_refused(
    warehouse: Warehouse, strategy: str
) -> None:
    warehouse.sql("create table events (id int primary key, t text); insert into events values (1), (2)")
    records = [{"id": 1, "t": "a"}, {"id": 1, "t": "no\0"}, {"id": 2, "t": "b"}]
    written = warehouse.load(*records, strategy=strategy)
    assert (written.updated, written.unchanged, len(written.refused)) == (2, 0, 1)
    assert warehouse.sql("select id, t from events order by id") == [(1, "a"), (2, "b")]


def test_a_key_is_looked_at_whatever_field_it_comes_from(warehouse: Warehouse) -> None:
    config: dict[str, Any] = {"columns": {"id": {"type": "jsonb", "from": "source_id"}}}
    for _ in range(2):  # the table is made in between
        writer = warehouse.open(**config)
        assert not writer.opaque()("source_id")
        writer.close()
        warehouse.sql("create table if not exists events (id jsonb primary key)")
