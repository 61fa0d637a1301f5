"""Update, delete, `newer_by` and fields without a column, on a real server."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import msgspec
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_datahub.contract import Batch
from airflow_datahub.errors import ConfigurationError, RunFailed
from airflow_datahub.postgres.tables import inferred
from tests.adapters.sinks.warehouse import Warehouse, checkpoint, commit

PARTITIONED = (
    "create table events (id int primary key, n int, t timestamptz) partition by range (id);"
    "create table low partition of events for values from (0) to (10);"
    "create table high partition of events for values from (10) to (99)"
)
TABLES = pytest.mark.parametrize(
    "table", ["create table events (id int primary key, n int, t timestamptz)", PARTITIONED], ids=["plain", "parts"]
)


def rows(warehouse: Warehouse, columns: str = "id, n") -> list[tuple[Any, ...]]:
    return warehouse.sql(f"select {columns} from events order by id")


# update


@TABLES
def test_update_changes_what_is_there_and_refuses_the_rest(warehouse: Warehouse, table: str) -> None:
    warehouse.sql(f"{table}; insert into events values (1, 1), (2, 2)")
    records = [{"id": 1, "n": 10}, {"id": 7, "n": 7}, {"id": 1, "n": 11}, {"id": 7, "n": 8}, {"n": 1}]
    written = warehouse.load(*records, strategy="update")
    assert (written.updated, written.merged, written.inserted) == (1, 1, 0)
    assert [(r.index, r.reason) for r in written.refused] == [
        (1, "key (id) is not in the table"), (3, "key (id) is not in the table"), (4, "key 'id' is missing"),
    ]  # fmt: skip
    assert rows(warehouse) == [(1, 11), (2, 2)]


def test_update_of_keys_alone_changes_nothing(warehouse: Warehouse) -> None:
    warehouse.sql("create table events (id int primary key); insert into events values (1)")
    written = warehouse.load({"id": 1}, {"id": 2}, strategy="update")
    assert (written.unchanged, len(written.refused)) == (1, 1)


def test_update_leaves_columns_alone_that_no_record_has(warehouse: Warehouse) -> None:
    warehouse.sql("create table events (id int primary key, n int, kept text); insert into events values (1, 1, 'k')")
    warehouse.load({"id": 1, "n": 2}, strategy="update")
    assert rows(warehouse, "n, kept") == [(2, "k")]


def test_update_with_keys_that_only_postgresql_knows_to_be_equal(warehouse: Warehouse) -> None:
    key = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
    warehouse.sql(f"create table events (id uuid primary key, n int); insert into events values ('{key}', 0)")
    records = [{"id": key.upper(), "n": 1}, {"id": key, "n": 2}, {"id": key.upper(), "n": 3}]
    written = warehouse.load(*records, strategy="update")
    assert (written.updated, written.merged) == (1, 2)
    assert rows(warehouse, "n") == [(3,)]


@pytest.mark.parametrize("bad", [{"n": "x"}, {"n": -1}], ids=["by COPY", "by UPDATE"])
def test_a_bad_update_lets_the_one_before_it_take_its_place(warehouse: Warehouse, bad: dict[str, Any]) -> None:
    warehouse.sql("create table events (id int primary key, n int check (n > 0)); insert into events values (1, 1)")
    written = warehouse.load({"id": 1, "n": 5}, {"id": 1, **bad}, {"id": 9, "n": 1}, strategy="update")
    assert (written.updated, written.merged, [r.index for r in written.refused]) == (1, 0, [1, 2])
    assert rows(warehouse) == [(1, 5)]


# delete


@TABLES
def test_delete_takes_the_rows_of_the_keys(warehouse: Warehouse, table: str) -> None:
    warehouse.sql(f"{table}; insert into events values (1), (2), (3)")
    records = [{"id": 1, "unheard": {"of": 1}}, {"id": 2}, {"id": 8}, {"id": 1}, {"id": "x"}, {"other": 1}]
    written = warehouse.load(*records, strategy="delete")
    assert (written.deleted, written.unchanged, written.merged) == (2, 1, 1)
    assert [r.index for r in written.refused] == [4, 5]
    assert rows(warehouse, "id") == [(3,)]


def test_a_row_that_others_refer_to_is_not_deleted(warehouse: Warehouse) -> None:
    warehouse.sql(
        "create table events (id int primary key); insert into events values (1), (2), (3);"
        "create table parts (event int references events); insert into parts values (2)"
    )
    written = warehouse.load({"id": 1}, {"id": 2}, {"id": 3}, strategy="delete")
    assert (written.deleted, [r.index for r in written.refused]) == (2, [1])
    assert "violates foreign key" in written.refused[0].reason
    assert rows(warehouse, "id") == [(2,)]


@pytest.mark.parametrize("strategy", ["update", "delete"])
def test_what_works_on_rows_makes_no_table(warehouse: Warehouse, strategy: str) -> None:
    with pytest.raises(ConfigurationError, match=f"does not exist and strategy {strategy} has nothing to work on"):
        warehouse.open(strategy=strategy)


# newer_by


@TABLES
@pytest.mark.parametrize("strategy", ["upsert", "update"])
def test_an_older_row_never_overwrites_a_newer_one(warehouse: Warehouse, table: str, strategy: str) -> None:
    warehouse.sql(
        f"{table}; insert into events values (1, 1, '2024-01-02Z'), (2, 2, '2024-01-02Z'), (3, 3, '2024-01-02Z'),"
        " (4, 4, null), (5, 5, '2024-01-02Z'), (6, 6, null)"
    )
    records = [
        {"id": 1, "n": 10, "t": "2024-01-01T23:59:59Z"},
        {"id": 2, "n": 20, "t": "2024-01-02T00:00:00Z"},
        {"id": 3, "n": 30, "t": "2024-01-02T00:30:00+01:00"},  # older, though its text is greater
        {"id": 4, "n": 40, "t": "2024-01-01"},
        {"id": 5, "n": 50},
        {"id": 6, "n": 60, "t": None},
    ]
    written = warehouse.load(*records, strategy=strategy, newer_by="t")
    assert (written.updated, written.unchanged, written.inserted) == (3, 3, 0)
    assert rows(warehouse) == [(1, 1), (2, 20), (3, 3), (4, 40), (5, 5), (6, 60)]


@pytest.mark.parametrize("strategy", ["upsert", "update"])
def test_in_a_batch_the_newest_stands(warehouse: Warehouse, strategy: str) -> None:
    warehouse.sql("create table events (id int primary key, n int, t timestamptz)")
    if strategy == "update":
        warehouse.sql("insert into events values (1), (2), (3)")
    records = [
        {"id": 1, "n": 1, "t": "2024-01-02T00:30:00+01:00"},
        {"id": 1, "n": 2, "t": "2024-01-02T00:00:00Z"},
        {"id": 1, "n": 3, "t": None},
        {"id": 2, "n": 4, "t": "2024-01-01"},
        {"id": 2, "n": 5, "t": "2024-01-01"},
        {"id": 3, "n": 6},
    ]
    written = warehouse.load(*records, strategy=strategy, newer_by="t")
    assert (written.merged, written.inserted + written.updated) == (3, 3)
    assert rows(warehouse) == [(1, 2), (2, 5), (3, 6)]


@pytest.mark.parametrize("bad", [{"n": "x"}, {"n": -1}], ids=["by COPY", "by INSERT"])
def test_a_bad_newest_lets_the_next_take_its_place(warehouse: Warehouse, bad: dict[str, Any]) -> None:
    warehouse.sql("create table events (id int primary key, n int check (n > 0), t int)")
    records = [
        {"id": 1, "n": 1, "t": 1},
        {"id": 1, "t": 9, **bad},
        {"id": 1, "n": 5, "t": 5},
        {"id": 2, "n": 1, "t": 1},
    ]
    written = warehouse.load(*records, strategy="upsert", newer_by="t")
    assert (written.inserted, written.merged, [r.index for r in written.refused]) == (2, 1, [1])
    assert rows(warehouse) == [(1, 5), (2, 1)]


def test_a_batch_without_the_field_is_the_oldest(warehouse: Warehouse) -> None:
    warehouse.sql("create table events (id int primary key, n int, t timestamptz default now())")
    warehouse.sql("insert into events values (1, 1, '2001-01-01')")
    assert warehouse.load({"id": 1, "n": 2}, strategy="upsert", newer_by="t").unchanged == 1
    assert rows(warehouse) == [(1, 1)]


def test_newer_by_must_be_a_column(warehouse: Warehouse) -> None:
    writer = warehouse.open(strategy="upsert", newer_by="t")
    with pytest.raises(ConfigurationError, match="newer_by 't' is in no record of the first batch"):
        writer.prepare(Batch([{"id": 1}]))
    writer.close()
    warehouse.sql("create table events (id int primary key)")
    with pytest.raises(ConfigurationError, match=r'no column \'t\'.* newer_by: ALTER TABLE .* ADD COLUMN "t"'):
        warehouse.open(strategy="upsert", newer_by="t")
    warehouse.sql("alter table events add t int generated always as (id) stored")
    with pytest.raises(ConfigurationError, match="newer_by 't' is generated"):
        warehouse.open(strategy="upsert", newer_by="t")


# every strategy against a model of it

_RECORD = st.tuples(st.integers(0, 4), st.sampled_from([1, 2, 3, "bad", -1]), st.sampled_from([None, 1, 2, 3]))
_BATCHES = st.lists(st.lists(_RECORD, min_size=1, max_size=8), min_size=1, max_size=4)
_START = {0: (7, 2), 1: (7, None)}


def modelled(state: dict[int, Any], batch: list[tuple[int, Any, Any]], strategy: str, newer: bool) -> None:
    """What a batch makes of the table, record by record; a bad record does nothing."""
    for key, n, t in batch:
        if strategy == "delete":
            state.pop(key, None)
        elif n in (1, 2, 3):
            known = key in state
            older = newer and known and state[key][1] is not None and (t is None or t < state[key][1])
            if (strategy == "insert" and not known) or (strategy == "update" and known and not older):
                state[key] = (n, t)
            if strategy == "upsert" and not older:
                state[key] = (n, t)


@pytest.mark.parametrize(
    ("strategy", "newer"),
    [("insert", False), ("upsert", False), ("upsert", True), ("update", False), ("update", True), ("delete", False)],
)
def test_what_a_model_says(warehouse: Warehouse, strategy: str, newer: bool) -> None:
    warehouse.sql("create table events (id int primary key, n int check (n > 0), t int)")
    writer = warehouse.open(strategy=strategy, newer_by="t" if newer else None)
    versions = itertools.count(1)

    @settings(max_examples=60, deadline=None, database=None)
    @given(_BATCHES)
    def holds(batches: list[list[tuple[int, Any, Any]]]) -> None:
        session.execute("truncate events; insert into events values (0, 7, 2), (1, 7, null)")
        state: dict[int, Any] = dict(_START)
        for batch in batches:
            before = set(state)
            modelled(state, batch, strategy, newer)
            records = [{"id": key, "n": n, "t": t} for key, n, t in batch]
            written = commit(writer, Batch(records), next(versions))
            assert (written.inserted, written.deleted) == (len(set(state) - before), len(before - set(state)))
        found = session.execute("select id, n, t from events").fetchall()
        assert {key: (n, t) for key, n, t in found} == state

    with psycopg.connect(warehouse.dsn, autocommit=True) as session:
        holds()
    writer.close()


# rest


def test_rest_takes_the_fields_without_a_column(warehouse: Warehouse) -> None:
    raw = msgspec.Raw(b'[1, {"deep": null}]')
    records: list[dict[str, Any]] = [{"id": 1, "n": 1, "b": raw, "a": None}, {"id": 2, "n": 2}, {"id": 3, "more": "x"}]
    origins = [msgspec.Raw(b"1"), msgspec.Raw(b"2"), msgspec.Raw(b"3")]
    written = warehouse.load_batch(Batch(records, origins=origins), columns={"n": "integer"}, rest="more")
    assert written.inserted == 3
    assert [name for name, *_ in warehouse.columns()] == ["id", "n", "more"]
    assert rows(warehouse, "more") == [({"b": [1, {"deep": None}], "a": None},), (None,), ({"more": "x"},)]
    assert records[2] == {"id": 3, "more": "x"}


def test_rest_of_an_existing_table(warehouse: Warehouse) -> None:
    warehouse.sql("create table events (id int primary key, rest text)")
    with pytest.raises(ConfigurationError, match="'rest' is text, the spec says jsonb"):
        warehouse.open(rest="rest")
    with pytest.raises(ConfigurationError, match='ADD COLUMN "other" jsonb'):
        warehouse.open(rest="other")
    warehouse.sql("alter table events drop rest; alter table events add rest jsonb, add n int")
    warehouse.load(
        {"id": 1, "n": 1, "x": {"y": "\u00e9"}}, {"id": 2, "s": "\ud800"}, {"id": 3, "f": float("nan")}, rest="rest"
    )
    assert rows(warehouse, "id, n, rest") == [(1, 1, {"x": {"y": "é"}})]


def test_rest_with_newer_by(warehouse: Warehouse) -> None:
    config: dict[str, Any] = {"strategy": "upsert", "newer_by": "t", "rest": "rest"}
    warehouse.load({"id": 1, "t": 2, "a": "new"}, **config)
    assert warehouse.load({"id": 1, "t": 1, "a": "old"}, **config).unchanged == 1
    assert rows(warehouse, "t, rest") == [(2, {"a": "new"})]


# evolution


def test_ignore_leaves_unknown_fields_out(warehouse: Warehouse) -> None:
    warehouse.load({"id": 1})
    assert warehouse.load({"id": 2, "x": object(), "y": 1}, evolution="ignore").inserted == 1
    assert [name for name, *_ in warehouse.columns()] == ["id"]


def test_reject_refuses_the_records_with_unknown_fields(warehouse: Warehouse) -> None:
    warehouse.load({"id": 1, "n": 1})
    records = [{"id": 2, "n": 2}, {"id": 2, "n": 3, "x": None}, {"n": 1, "b\0": 1, "a": 2}]
    written = warehouse.load(*records, evolution="reject", strategy="upsert")
    assert (written.inserted, written.merged) == (1, 0)
    assert [(r.index, r.field, r.reason) for r in written.refused] == [
        (1, "x", "no column for field 'x' (evolution: reject)"),
        (2, "a", "no column for field 'a' (evolution: reject)"),
    ]
    assert rows(warehouse) == [(1, 1), (2, 2)]


def test_evolve_adds_columns_and_goes_on(warehouse: Warehouse) -> None:
    warehouse.load({"id": 1})
    writer = warehouse.open(evolution="evolve", strategy="upsert")
    batches: list[list[dict[str, Any]]] = [
        [{"id": 2, "n": 2, "void": None}, {"id": 3, "o": {"a": 1}}],
        [{"id": 4, "n": "text"}, {"id": 5, "n": 5, "void": "now"}],
        [{"id": 6, "raw": msgspec.Raw(b"[1]")}, {"id": 7, "raw": None, "nul": msgspec.Raw(b"null")}],
        [{"id": 8, "x" * 64: 1}, {"id": 9, "_datahub_x": 1}, {"id": 10, "\ud800": 1}, {"id": 11, "n": 11}],
    ]
    prepared = [writer.prepare(Batch(records)) for records in batches]
    written = [writer.commit(each, checkpoint(i + 1 + 1), lambda _: {}) for i, each in enumerate(prepared)]
    writer.close()
    assert [[r.index for r in each.refused] for each in written] == [[], [0], [], [0, 1, 2]]
    assert warehouse.columns()[1:] == [
        ("n", "bigint", False, None), ("o", "jsonb", False, None), ("void", "text", False, None),
        ("raw", "jsonb", False, None),
    ]  # fmt: skip
    assert rows(warehouse, "id, n, o, void, raw")[1:] == [
        (2, 2, None, None, None), (3, None, {"a": 1}, None, None), (5, 5, None, "now", None),
        (6, None, None, None, [1]), (7, None, None, None, None), (11, 11, None, None, None),
    ]  # fmt: skip


def test_a_table_that_is_created_evolves_too(warehouse: Warehouse) -> None:
    writer = warehouse.open(evolution="evolve")
    prepared = [writer.prepare(Batch([record])) for record in ({"id": 1, "a": 1}, {"id": 2, "b": 2}, {"id": 3, "c": 3})]
    for version, each in enumerate(prepared, start=1):
        assert writer.commit(each, checkpoint(version), lambda _: {}).inserted == 1
    writer.close()
    assert rows(warehouse, "id, a, b, c") == [(1, 1, None, None), (2, None, 2, None), (3, None, None, 3)]


def test_a_batch_that_fails_adds_no_column_and_the_next_try_does(warehouse: Warehouse) -> None:
    warehouse.load({"id": 1})
    writer = warehouse.open(evolution="evolve")
    prepared = writer.prepare(Batch([{"id": 2, "n": 1}]))

    def fail(_: object) -> dict[str, Any]:
        raise RunFailed("no")

    with pytest.raises(RunFailed, match="no"):
        writer.commit(prepared, checkpoint(2), fail)
    assert len(warehouse.columns()) == 1
    assert writer.commit(prepared, checkpoint(2), lambda _: {}).inserted == 1
    writer.close()
    assert rows(warehouse) == [(1, None), (2, 1)]


def test_two_writers_add_the_same_column(warehouse: Warehouse) -> None:
    warehouse.sql("create table events (id int primary key)")
    writers = [warehouse.open(strategy="append", key=[], evolution="evolve") for _ in range(2)]
    prepared = [writer.prepare(Batch([{"id": n, "n": n}])) for n, writer in enumerate(writers)]
    for version, (writer, each) in enumerate(zip(writers, prepared, strict=True), start=1):
        assert writer.commit(each, checkpoint(version), lambda _: {}).inserted == 1
    late = writers[0].prepare(Batch([{"id": 3, "late": {}}]))
    warehouse.sql("alter table events add late int")
    with pytest.raises(RunFailed, match=r"'late' of .* was added by someone else"):
        writers[0].commit(late, checkpoint(3), lambda _: {})
    for writer in writers:
        writer.close()


@pytest.mark.parametrize("evolution", ["reject", "evolve"])
def test_fields_of_refused_records_leave_the_defaults_of_others_alone(warehouse: Warehouse, evolution: str) -> None:
    warehouse.sql("create table events (id int primary key, n int default 7, m int default 8)")
    config = {"evolution": evolution, "columns": {"m": {"from": "o.m"}}}
    records = [{"id": 1, "o": {}}, {"id": 2, "n": 5, "o": {"m": 6}, "more": 1, "": 1}]
    written = warehouse.load(*records, **config)
    assert [refusal.index for refusal in written.refused] == [1]
    assert warehouse.sql("select * from events") == [(1, 7, 8)]
    written = warehouse.load({"id": 3, "": 1}, **config)
    assert [refusal.index for refusal in written.refused] == [0]


def test_fields_of_records_without_a_key_leave_the_defaults_of_others_alone(warehouse: Warehouse) -> None:
    warehouse.sql("create table events (id int primary key, n int default 7, m int default 8)")
    written = warehouse.load({"id": 1, "o": {}}, {"n": 5, "o": {"m": 6}}, columns={"m": {"from": "o.m"}})
    assert [refusal.reason for refusal in written.refused] == ["key 'id' is missing"]
    assert warehouse.sql("select * from events") == [(1, 7, 8)]


def test_a_lock_ends_the_wait_for_a_new_column(warehouse: Warehouse) -> None:
    warehouse.load({"id": 1})
    writer = warehouse.open(evolution="evolve")
    writer._link.session.execute("set lock_timeout = '200ms'")  # type: ignore[attr-defined]
    with psycopg.connect(warehouse.dsn) as other:
        other.execute("select * from events")
        with pytest.raises(RunFailed, match=r"waited .* for a lock"):
            commit(writer, Batch([{"id": 2, "n": 1}]), 2)
    assert commit(writer, Batch([{"id": 2, "n": 1}]), 2).inserted == 1
    writer.close()


def test_five_hundred_columns_are_the_end(warehouse: Warehouse) -> None:
    columns = ", ".join(f"c{i} int" for i in range(499))
    warehouse.sql(f"create table events (id int primary key, {columns})")
    with pytest.raises(ConfigurationError, match="501 columns, 500 are allowed"):
        warehouse.load({"id": 1, "x": 1}, evolution="evolve")
    warehouse.load({"id": 1, "x": 1}, evolution="evolve", max_columns=501)


def test_an_owner_must_add_columns(warehouse: Warehouse, reader: dict[str, Any]) -> None:
    warehouse.load({"id": 1})
    warehouse.sql("grant all on all tables in schema public to reader")
    with pytest.raises(
        ConfigurationError, match=r'does not own .* run: alter table "public"."events" add column .*"n"'
    ):
        warehouse.load({"id": 2, "n": 1}, connection_changes=reader, evolution="evolve")


@pytest.mark.parametrize(
    ("values", "type"),
    [
        ([msgspec.Raw(b"1"), 1], "jsonb"), ([msgspec.Raw(b"null"), 1, None], "bigint"),
        ([msgspec.Raw(b"null")], "text"), ([msgspec.Raw(b"{}")], "jsonb"),
    ],
)  # fmt: skip
def test_undecoded_json_is_jsonb_unless_it_is_null(values: list[Any], type: str) -> None:
    assert inferred(values) == type


# rights


@pytest.mark.parametrize(
    ("strategy", "rights", "lacking"),
    [("delete", "select", "DELETE"), ("update", "select", "UPDATE"), ("replace", "select, insert", "DELETE")],
)
def test_rights_by_strategy(
    warehouse: Warehouse, reader: dict[str, Any], strategy: str, rights: str, lacking: str
) -> None:
    warehouse.load({"id": 1})
    warehouse.sql(f"grant {rights} on events to reader")
    with pytest.raises(ConfigurationError, match=rf'no right to {lacking}: GRANT {lacking} ON "public"."events"'):
        warehouse.open(reader, strategy=strategy)


@pytest.fixture
def reader(warehouse: Warehouse) -> Iterator[dict[str, Any]]:
    """A role that may connect and nothing else, as changes to the connection."""
    warehouse.sql("drop role if exists reader; create role reader login password 'secret-word'")
    yield {"login": "reader", "password": "secret-word"}
    warehouse.sql("drop owned by reader; drop role reader")
