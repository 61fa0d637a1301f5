"""Rows and checkpoint move together, one writer wins, and every failure ends in an error that says what to do."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from airflow_datahub.contract import Batch, Checkpoint, Writer, Written
from airflow_datahub.demo.postgres import free_port
from airflow_datahub.errors import ConfigurationError, Interrupted, RunFailed, StopRun
from tests.adapters.sinks.warehouse import STREAM, Warehouse, checkpoint, commit


def no_counters(written: Written) -> Mapping[str, Any]:
    return {}


# checkpoints


def test_the_checkpoint_comes_back_as_it_was_written(warehouse: Warehouse) -> None:
    writer = warehouse.open()
    assert writer.resume() is None
    given = checkpoint(1, cursor={"at": [1, "\t", None]}, skip=3, mark={"m": 1.5}, owner="try-1", last=("h",))
    writer.commit(writer.prepare(Batch([{"id": 1}])), given, lambda written: {"in": written.inserted})
    assert writer.resume() == replace(given, counters={"in": 1}, target="public.events")
    writer.commit(writer.prepare(Batch([])), checkpoint(2, cursor=None), no_counters)
    assert writer.resume() == Checkpoint(2, "run-1", None, 0, "f", {}, target="public.events")
    writer.close()
    stored = warehouse.sql("select pipeline, stream, scope, version, cursor, format from _datahub_checkpoint")
    position = {"at": None, "skip": 0, "last": [], "target": "public.events"}
    assert stored == [(STREAM.pipeline, STREAM.stream, "", 2, position, 1)]


def test_an_empty_batch_needs_no_table(warehouse: Warehouse) -> None:
    writer = warehouse.open()
    assert commit(writer, Batch([]), 1) == Written()
    assert writer.resume() == checkpoint(1, counters={"inserted": 0})
    writer.close()


def test_a_checkpoint_of_a_newer_format_is_refused(warehouse: Warehouse) -> None:
    warehouse.load({"id": 1})
    warehouse.sql("update _datahub_checkpoint set format = 99")
    writer = warehouse.open()
    with pytest.raises(ConfigurationError, match=r"format 99.*upgrade"):
        writer.resume()
    writer.close()


def test_the_checkpoint_lies_in_the_schema_of_the_table(warehouse: Warehouse) -> None:
    warehouse.sql("create schema sales")
    warehouse.load({"id": 1}, table="sales.Orders")
    assert warehouse.sql('select count(*) from sales._datahub_checkpoint, sales."Orders"') == [(1,)]


@pytest.mark.parametrize("version", [1, 2])
def test_the_loser_of_two_writers_stops_and_leaves_nothing(warehouse: Warehouse, version: int) -> None:
    if version == 2:
        warehouse.load({"id": 0})
    first, second = warehouse.open(), warehouse.open()
    commit(first, Batch([{"id": 1}]), version)
    with pytest.raises(StopRun, match="another writer moved the checkpoint"):
        commit(second, Batch([{"id": 2}]), version)
    commit(first, Batch([{"id": 3}]), version + 1)
    assert warehouse.sql("select id from events where id > 0 order by id") == [(1,), (3,)]
    first.close()
    second.close()


def test_two_writers_at_the_same_moment_load_once(warehouse: Warehouse) -> None:
    writers = [warehouse.open(strategy="append", key=[]) for _ in range(2)]
    barrier, ends = threading.Barrier(2), list[str]()

    def run(writer: Writer) -> None:
        try:
            prepared = writer.prepare(Batch([{"id": i} for i in range(1000)]))
            barrier.wait(10)
            writer.commit(prepared, checkpoint(1), no_counters)
            ends.append("won")
        except StopRun:
            ends.append("lost")

    threads = [threading.Thread(target=run, args=[writer]) for writer in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(ends) == ["lost", "won"]
    assert warehouse.sql("select count(*) from events") == [(1000,)]


def test_what_settle_raises_undoes_everything(warehouse: Warehouse) -> None:
    warehouse.load({"id": 1})
    writer = warehouse.open()

    def too_many(written: Written) -> Mapping[str, Any]:
        raise StopRun("too many rejects")

    with pytest.raises(StopRun, match="too many rejects"):
        writer.commit(writer.prepare(Batch([{"id": 2}])), checkpoint(2), too_many)
    assert writer.resume() == checkpoint(1, counters={"inserted": 1}, target="public.events")
    assert warehouse.sql("select id from events") == [(1,)]
    assert commit(writer, Batch([{"id": 2}]), 2).inserted == 1
    writer.close()


def test_a_killed_session_leaves_nothing_half(warehouse: Warehouse) -> None:
    writer = warehouse.open()

    def killed(written: Written) -> Mapping[str, Any]:
        assert written.inserted == 2
        warehouse.sql(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        return {}

    prepared = writer.prepare(Batch([{"id": 1}, {"id": 2}]))
    with pytest.raises(RunFailed, match="connection 'warehouse'"):
        writer.commit(prepared, checkpoint(1), killed)
    writer.close()
    again = warehouse.open()
    assert again.resume() is None
    assert commit(again, Batch([{"id": 1}, {"id": 2}]), 1).inserted == 2
    again.close()


def test_cancel_interrupts_a_commit_that_waits(warehouse: Warehouse) -> None:
    warehouse.load({"id": 1})
    writer = warehouse.open()
    prepared = writer.prepare(Batch([{"id": 2}]))
    with psycopg.connect(warehouse.dsn) as other:
        other.execute("lock table events")
        timer = threading.Timer(0.3, writer.cancel)
        timer.start()
        start = time.monotonic()
        with pytest.raises(Interrupted):
            writer.commit(prepared, checkpoint(2), no_counters)
        timer.join()
    assert time.monotonic() - start < 4
    assert writer.resume() == checkpoint(1, counters={"inserted": 1}, target="public.events")
    writer.close()


def test_a_lock_that_another_session_holds(warehouse: Warehouse) -> None:
    warehouse.load({"id": 1})
    writer = warehouse.open()
    prepared = writer.prepare(Batch([{"id": 2}]))
    writer._link.session.execute("set lock_timeout = '200ms'")  # type: ignore[attr-defined]
    with psycopg.connect(warehouse.dsn) as other:
        other.execute("lock table events")
        with pytest.raises(RunFailed, match=r"waited .* for a lock"):
            writer.commit(prepared, checkpoint(2), no_counters)
    writer.close()


def test_a_statement_that_takes_too_long(warehouse: Warehouse) -> None:
    warehouse.load({"id": 1})
    warehouse.sql(
        "create function dawdle() returns trigger language plpgsql as $$ begin perform pg_sleep(9); return new; end $$;"
        "create trigger dawdle before insert on events for each row execute function dawdle()"
    )
    writer = warehouse.open()
    prepared = writer.prepare(Batch([{"id": 2}]))
    writer._link.session.execute("set statement_timeout = '200ms'")  # type: ignore[attr-defined]
    with pytest.raises(RunFailed, match=r"'warehouse': a statement took longer than"):
        writer.commit(prepared, checkpoint(2), no_counters)
    writer.close()
    assert warehouse.sql("select id from events") == [(1,)]


def test_two_first_batches_that_disagree_on_the_table(warehouse: Warehouse) -> None:
    first, second = warehouse.open(), warehouse.open()
    late = second.prepare(Batch([{"id": 1, "n": 1}]))
    commit(first, Batch([{"id": 1}]), 1)
    with pytest.raises(RunFailed, match="created by someone else meanwhile"):
        second.commit(late, checkpoint(1), no_counters)
    first.close()
    second.close()


def test_a_table_that_is_dropped_meanwhile(warehouse: Warehouse) -> None:
    warehouse.load({"id": 1})
    writer = warehouse.open()
    warehouse.sql("drop table events")
    with pytest.raises(ConfigurationError, match=r'"public.events" does not exist'):
        commit(writer, Batch([{"id": 2}]), 2)
    writer.close()


# what a person must put right


def test_a_missing_table_names_its_neighbours(warehouse: Warehouse) -> None:
    warehouse.sql("create table event (id int); create table other (id int)")
    with pytest.raises(
        ConfigurationError, match=r"'warehouse': table 'events' does not exist.*near are public\.event$"
    ):
        warehouse.open(create=False)


@pytest.mark.parametrize(
    ("table", "config", "message"),
    [
        ("id int", {}, r'no unique index on key \(id\): CREATE UNIQUE INDEX ON "public"\."events" \("id"\)'),
        (
            "id int primary key",
            {"columns": {"n": "integer"}},
            r"no column 'n': ALTER TABLE .* ADD COLUMN \"n\" integer",
        ),
        ("id int primary key", {"columns": {"id": "text"}}, r"'id' is integer, the spec says text"),
        ("id int primary key", {"key": ["nr"]}, r"no column 'nr', which the spec names as key"),
        ("id int primary key, n int", {"columns": {"n": {"null": False}}}, r"allows null.*SET NOT NULL"),
        ("id int primary key, n int", {"columns": {"n": {"default": 1}}}, r"no default.*SET DEFAULT 1"),
        ("id int primary key, n int generated always as (1) stored", {"columns": {"n": "integer"}}, "is generated"),
        ("id int, unique (id) deferrable", {}, "no unique index"),
        ("id int, n int, unique (id, n)", {}, "no unique index"),
    ],
)
def test_a_table_that_does_not_fit(warehouse: Warehouse, table: str, config: dict[str, Any], message: str) -> None:
    warehouse.sql(f"create table events ({table})")
    with pytest.raises(ConfigurationError, match=message):
        warehouse.open(**config)


def test_a_view_and_a_missing_schema_are_refused(warehouse: Warehouse) -> None:
    warehouse.sql("create view events as select 1 as id")
    with pytest.raises(ConfigurationError, match="is a view"):
        warehouse.open()
    with pytest.raises(ConfigurationError, match="schema 'nowhere' does not exist"):
        warehouse.open(table="nowhere.events")


def test_a_first_batch_with_too_many_or_impossible_columns(warehouse: Warehouse) -> None:
    writer = warehouse.open()
    with pytest.raises(ConfigurationError, match="501 columns, 500 are allowed"):
        writer.prepare(Batch([{"id": 1} | {f"c{i}": 1 for i in range(500)}]))
    with pytest.raises(ConfigurationError, match="longer than 63 bytes"):
        writer.prepare(Batch([{"id": 1, "x" * 64: 1}]))
    writer.close()
    writer = warehouse.open(max_columns=2)
    with pytest.raises(ConfigurationError, match=r"3 columns, 2 are allowed \(`max_columns`\)"):
        writer.prepare(Batch([{"id": 1, "a": 1, "b": 1}]))
    writer.close()


@pytest.fixture
def reader(warehouse: Warehouse) -> Iterator[dict[str, Any]]:
    """A role that may connect and nothing else, as changes to the connection."""
    warehouse.sql("drop role if exists reader; create role reader login password 'secret-word'")
    yield {"login": "reader", "password": "secret-word"}
    warehouse.sql("drop owned by reader; drop role reader")


def test_rights_that_lack_are_asked_for_one_by_one(warehouse: Warehouse, reader: dict[str, Any]) -> None:
    warehouse.sql("create table events (id int primary key, n int)")
    warehouse.sql("revoke usage on schema public from public")
    with pytest.raises(ConfigurationError, match="no schema of the search path"):
        warehouse.open(reader)
    steps = [
        r'GRANT USAGE ON SCHEMA "public" TO "reader"',
        r'GRANT INSERT, SELECT, UPDATE ON "public"."events" TO "reader"',
        r'GRANT USAGE, CREATE ON SCHEMA "public" TO "reader"',
    ]
    for grant in steps:
        with pytest.raises(ConfigurationError) as caught:
            warehouse.open(reader, strategy="upsert", table="public.events")
        assert str(caught.value).endswith(grant)
        warehouse.sql(grant)
    writer = warehouse.open(reader, strategy="upsert")
    assert commit(writer, Batch([{"id": 1, "n": 1}]), 1).inserted == 1
    writer.close()


def test_rights_on_the_checkpoint(warehouse: Warehouse, reader: dict[str, Any]) -> None:
    warehouse.load({"id": 1})
    warehouse.sql("grant insert, select on events to reader; grant select on _datahub_checkpoint to reader")
    writer = warehouse.open(reader)
    with pytest.raises(ConfigurationError, match=r'GRANT .*UPDATE ON "public"\."_datahub_checkpoint" TO "reader"'):
        commit(writer, Batch([{"id": 2}]), 2)
    writer.close()
    assert warehouse.sql("select id from events") == [(1,)]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"password": "wrong-word"}, ConfigurationError, "password authentication failed"),
        ({"schema": "nowhere"}, ConfigurationError, 'database "nowhere" does not exist'),
        ({"login": "nobody-here"}, ConfigurationError, "authentication failed"),
        ({"host": "nowhere.invalid"}, RunFailed, "nowhere.invalid"),
        ({"port": free_port()}, RunFailed, "refused"),
        ({"type": "http"}, ConfigurationError, "must be postgres"),
        ({"extra": {"sslmod": "require"}}, ConfigurationError, "extra sslmod is not known"),
        ({"extra": {"sslmode": "nonsense"}}, ConfigurationError, "sslmode"),
        ({"extra": {"sslmode": "require"}}, ConfigurationError, "SSL"),
    ],
)
def test_connections_that_do_not_work(
    warehouse: Warehouse, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        warehouse.open(changes)
    assert "'warehouse'" in str(caught.value)
    assert "wrong-word" not in str(caught.value)


def test_the_session_does_not_depend_on_the_server(database: str) -> None:
    warehouse = Warehouse(database)
    name = warehouse.sql("select current_database()")[0][0]
    warehouse.sql(
        f"alter database {name} set timezone = 'Asia/Tokyo'; alter database {name} set datestyle = 'SQL, DMY'"
    )
    warehouse.load({"id": 1, "t": "2024-02-01 12:00"}, columns={"t": "timestamptz"})
    assert warehouse.sql("select t = '2024-02-01T12:00:00Z'::timestamptz from events") == [(True,)]


# small first commits


@pytest.mark.parametrize(
    ("config", "settled"),
    [
        ({"columns": {"id": "bigint", "v": "text"}}, True),
        ({"columns": {"id": "bigint"}}, False),
        ({"columns": {"id": "bigint", "v": "text"}, "evolution": "evolve"}, False),
        ({"columns": {"id": "bigint"}, "rest": "others"}, True),
        ({"columns": {"id": "bigint"}, "rest": "others", "newer_by": "v", "strategy": "upsert"}, False),
        ({"columns": {"v": "text"}}, False),
    ],
)
def test_first_commits_may_be_small_where_they_decide_no_type(
    warehouse: Warehouse, config: dict[str, Any], settled: bool
) -> None:
    writer = warehouse.open(**config)
    assert writer.settled([{"id": 1, "v": "x"}]) is settled
    writer.close()


def test_a_record_without_a_key_makes_no_column(warehouse: Warehouse) -> None:
    assert len(warehouse.load({"id": 1}, {"junk": "x"}).refused) == 1
    assert [name for name, *_ in warehouse.columns()] == ["id"]
    assert len(warehouse.load({"id": 2, "v": 5}, {"junk": "x", "v": "y"}, evolution="evolve").refused) == 1
    assert [(name, kind) for name, kind, *_ in warehouse.columns()] == [("id", "bigint"), ("v", "bigint")]
