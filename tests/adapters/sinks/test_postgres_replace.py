"""A load that replaces a table, on a real server: all of the old rows or all of the new, whatever hangs on it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import conninfo

from airflow_datahub.contract import Batch, Writer
from airflow_datahub.errors import ConfigurationError, Interrupted, StopRun
from tests.adapters.sinks.warehouse import Warehouse, checkpoint, commit
from tests.proxy import How, Proxy

REPLACE: dict[str, Any] = {"strategy": "replace"}
SHADOWS = "select count(*) from pg_class where starts_with(relname, '_datahub_new_') and relkind = 'r'"


def replaced(warehouse: Warehouse, *batches: list[dict[str, Any]], **config: Any) -> None:
    """One whole run."""
    writer = warehouse.open(**{**REPLACE, **config})
    try:
        writer.start_over()
        version = load(writer, *batches)
        writer.finish(checkpoint(version + 1, counters={"in": version}))
    finally:
        writer.close()


def load(writer: Writer, *batches: list[dict[str, Any]]) -> int:
    """Commit batches; the version that stands."""
    stands = writer.resume()
    version = stands.version if stands else 0
    for batch in batches:
        version += 1
        commit(writer, Batch(list(batch)), version)
    return version


def ids(warehouse: Warehouse) -> list[int]:
    return [row[0] for row in warehouse.sql("select id from events order by id")]


def some(*numbers: int) -> list[dict[str, Any]]:
    return [{"id": number} for number in numbers]


@pytest.mark.parametrize("key", [["id"], []])
def test_a_run_replaces_what_is_there(warehouse: Warehouse, key: list[str]) -> None:
    replaced(warehouse, some(1, 2), some(3), key=key)
    assert ids(warehouse) == [1, 2, 3]
    replaced(warehouse, some(3, 4), some(5), key=key)
    assert ids(warehouse) == [3, 4, 5]
    assert warehouse.sql(SHADOWS) == [(0,)]
    stands = warehouse.sql("select version, cursor ->> 'target', counters from _datahub_checkpoint")
    assert stands == [(6, "public.events", {"in": 5})]


def test_of_a_key_the_last_wins_over_the_whole_run(warehouse: Warehouse) -> None:
    replaced(warehouse, [{"id": 1, "n": 1}, {"id": 1, "n": 2}, {"id": 2, "n": 2}], [{"id": 2, "n": 3}])
    assert warehouse.sql("select id, n from events order by id") == [(1, 2), (2, 3)]


def test_without_a_key_everything_is_kept(warehouse: Warehouse) -> None:
    replaced(warehouse, some(1, 1), some(1), key=[])
    assert ids(warehouse) == [1, 1, 1]


def test_readers_see_the_old_rows_until_the_end_and_never_half(warehouse: Warehouse) -> None:
    replaced(warehouse, some(1, 2))
    writer = warehouse.open(**REPLACE)
    writer.start_over()
    version = load(writer, some(3))
    assert ids(warehouse) == [1, 2]
    with psycopg.connect(warehouse.dsn) as reader:
        reader.execute("set transaction isolation level repeatable read; select")
        version = load(writer, some(4))
        writer.finish(checkpoint(version + 1))
        assert reader.execute("select id from events order by id").fetchall() == [(1,), (2,)]
        reader.rollback()
        assert reader.execute("select id from events order by id").fetchall() == [(3,), (4,)]
    writer.close()


def test_a_later_try_of_the_run_goes_on_where_it_was_killed(warehouse: Warehouse) -> None:
    replaced(warehouse, some(1, 2))
    killed = warehouse.open(**REPLACE)
    killed.start_over()
    load(killed, some(3), some(4))
    killed.close()
    writer = warehouse.open(**REPLACE)
    stands = writer.resume()
    assert stands is not None
    assert writer.target() is not None
    assert stands.target == writer.target()
    version = load(writer, some(5))
    writer.finish(checkpoint(version + 1))
    writer.close()
    assert ids(warehouse) == [3, 4, 5]


def test_another_run_begins_afresh(warehouse: Warehouse) -> None:
    killed = warehouse.open(**REPLACE)
    killed.start_over()
    load(killed, some(1, 2, 3))
    killed.close()
    assert warehouse.sql(SHADOWS) == [(1,)]
    assert ids(warehouse) == []
    replaced(warehouse, some(7))
    assert ids(warehouse) == [7]
    assert warehouse.sql(SHADOWS) == [(0,)]


def test_a_try_that_was_left_behind_cannot_write_into_the_next(warehouse: Warehouse) -> None:
    zombie = warehouse.open(**REPLACE)
    zombie.start_over()
    version = load(zombie, some(1, 2))
    writer = warehouse.open(**REPLACE)
    writer.start_over()
    load(writer, some(8))
    with pytest.raises(StopRun, match="another writer moved the checkpoint"):
        commit(zombie, Batch(some(3)), version + 1)
    with pytest.raises(StopRun, match="another writer moved the checkpoint"):
        zombie.finish(checkpoint(version + 1))
    zombie.close()
    writer.finish(checkpoint(version + 2))
    writer.close()
    assert ids(warehouse) == [8]


def test_a_shadow_that_lacks_a_column_is_not_gone_on_with(warehouse: Warehouse) -> None:
    replaced(warehouse, some(1))
    killed = warehouse.open(**REPLACE)
    load(killed, some(2))
    killed.close()
    warehouse.sql("alter table events add n int")
    writer = warehouse.open(**REPLACE)
    assert writer.target() is None
    writer.close()
    replaced(warehouse, [{"id": 3, "n": 3}])
    assert warehouse.sql("select id, n from events") == [(3, 3)]


# R15


@pytest.mark.parametrize("batches", [[], [some(1)], [some(1, 2), some(3, 4)]], ids=["none", "one", "just too few"])
def test_too_few_rows_change_nothing(warehouse: Warehouse, batches: list[list[dict[str, Any]]]) -> None:
    replaced(warehouse, some(*range(10)))
    with pytest.raises(StopRun, match=r"the source gave (no rows|\d rows where 10 are), .*`shrink: true`"):
        replaced(warehouse, *batches)
    assert ids(warehouse) == list(range(10))
    assert warehouse.sql(SHADOWS) == [(0,)]
    stands = warehouse.open(**REPLACE)
    assert stands.target() is None
    stands.close()
    replaced(warehouse, some(*range(5)))
    assert ids(warehouse) == list(range(5))


@pytest.mark.parametrize("batches", [[], [[]], [some(1)]])
def test_too_few_rows_where_the_spec_allows_it(warehouse: Warehouse, batches: list[list[dict[str, Any]]]) -> None:
    replaced(warehouse, some(*range(10)))
    replaced(warehouse, *batches, shrink=True)
    assert ids(warehouse) == [1][: sum(map(len, batches))]


def test_no_rows_and_no_table(warehouse: Warehouse) -> None:
    with pytest.raises(StopRun, match="gave no rows"):
        replaced(warehouse)
    replaced(warehouse, shrink=True)
    assert warehouse.sql("select to_regclass('events')") == [(None,)]


# what hangs on the table


def test_all_that_hangs_on_the_table_stays(warehouse: Warehouse, reader: dict[str, Any]) -> None:
    warehouse.sql(
        "create table parents (id int primary key); insert into parents values (1);"
        "create table events (id int primary key, n int check (n > 0), parent int references parents,"
        " twice int generated always as (n * 2) stored, number int generated always as identity,"
        " serial serial, code int generated by default as identity unique, at timestamptz default now());"
        "insert into events (id, n) values (1, 1), (2, 2); comment on table events is 'of note';"
        "create index by_n on events (n); grant select on events to reader;"
        "create view seen as select id, n from events;"
        "create table noted (id int);"
        "create function note() returns trigger language plpgsql as"
        " 'begin insert into noted values (new.id); return new; end';"
        "create trigger noting before insert on events for each row execute function note()"
    )
    identity = "select oid, relacl::text, relowner from pg_class where relname = 'events'"
    before = warehouse.sql(identity)
    writer = warehouse.open(**REPLACE)
    bad = [{"id": 8, "n": -1}, {"id": 9, "n": 1, "parent": 7}]
    written = commit(writer, Batch([{"id": 3, "n": 3, "parent": 1}, *bad, {"id": 4, "n": 4}]), 1)
    assert (written.inserted, [r.index for r in written.refused]) == (2, [1, 2])
    writer.finish(checkpoint(2))
    writer.close()
    drawn = "number > 2 and serial > 2 and code > 2 and at is not null"
    found = warehouse.sql(f"select id, n, parent, twice, {drawn} from events order by id")
    assert found == [(3, 3, 1, 6, True), (4, 4, None, 8, True)]
    assert warehouse.sql("select * from seen order by id") == [(3, 3), (4, 4)]
    assert warehouse.sql("select id from noted order by id") == [(3,), (4,)]
    assert warehouse.sql(identity) == before
    assert warehouse.sql("insert into events (id, n) values (5, 5) returning code > 3") == [(True,)]
    assert warehouse.sql("select obj_description('events'::regclass), to_regclass('by_n') is not null") == [
        ("of note", True)
    ]


def test_a_partitioned_table_is_replaced(warehouse: Warehouse) -> None:
    warehouse.sql(
        "create table events (id int primary key, n int) partition by range (id);"
        "create table low partition of events for values from (0) to (10);"
        "create table high partition of events for values from (10) to (20) partition by range (id);"
        "create table highest partition of high for values from (10) to (15);"
        "insert into events values (1), (12)"
    )
    writer = warehouse.open(**REPLACE)
    written = commit(writer, Batch(some(2, 11, 17, 99)), 1)
    assert [r.index for r in written.refused] == [2, 3]
    writer.finish(checkpoint(2))
    writer.close()
    assert ids(warehouse) == [2, 11]
    assert warehouse.sql("select id from highest") == [(11,)]


def test_rows_that_other_tables_refer_to_are_merged(warehouse: Warehouse) -> None:
    warehouse.sql(
        "create table events (id int primary key, n int); insert into events values (1, 1), (2, 2);"
        "create table parts (event int references events); insert into parts values (1)"
    )
    with pytest.raises(ConfigurationError, match=r"parts refers to it .*needs a `key`"):
        warehouse.open(**REPLACE, key=[])
    replaced(warehouse, [{"id": 1, "n": 10}, {"id": 3, "n": 3}])
    assert warehouse.sql("select * from events order by id") == [(1, 10), (3, 3)]
    with pytest.raises(StopRun, match=r"do not fit the table, which stays as it is: .*foreign key"):
        replaced(warehouse, some(3, 4))
    assert warehouse.sql("select * from events order by id") == [(1, 10), (3, 3)]


def test_a_table_that_refers_to_itself(warehouse: Warehouse) -> None:
    warehouse.sql(
        "create table events (id int primary key, up int references events); insert into events values (1, 1), (2, 1)"
    )
    replaced(warehouse, [{"id": 5, "up": 6}], [{"id": 6, "up": 6}])
    assert warehouse.sql("select * from events order by id") == [(5, 6), (6, 6)]


def test_a_table_that_evolves_while_it_is_replaced(warehouse: Warehouse) -> None:
    replaced(warehouse, some(1), evolution="evolve")
    replaced(warehouse, some(2), [{"id": 3, "n": 3}], some(4), evolution="evolve")
    assert warehouse.sql("select id, n from events order by id") == [(2, None), (3, 3), (4, None)]


def test_batches_that_are_copied_ahead(warehouse: Warehouse) -> None:
    replaced(warehouse, some(0))
    writer = warehouse.open(**REPLACE)
    writer.start_over()
    prepared = [writer.prepare(Batch(some(*range(n * 100, n * 100 + 100)))) for n in range(5)]
    version = 2
    for each in prepared:
        version += 1
        assert writer.commit(each, checkpoint(version), lambda _: {}).inserted == 100
    writer.finish(checkpoint(version + 1))
    writer.close()
    assert ids(warehouse) == list(range(500))


# the moment of the swap


@pytest.mark.parametrize("how", ["before", "after"])
@pytest.mark.parametrize("mark", [b"COMMIT", b"_datahub_checkpoint", b"delete from", b"drop table"])
@pytest.mark.parametrize("count", [8, 2], ids=["enough", "too few"])
def test_a_connection_that_is_lost_in_the_swap(warehouse: Warehouse, mark: bytes, how: How, count: int) -> None:
    replaced(warehouse, some(*range(10)))
    with Proxy(int(str(conninfo.conninfo_to_dict(warehouse.dsn)["port"]))) as proxy:
        writer = warehouse.open({"port": proxy.port}, **REPLACE)
        writer.start_over()
        version = load(writer, some(*range(90, 90 + count)))
        loss = proxy.lose(mark, how)
        if count == 8:
            writer.finish(checkpoint(version + 1))
        else:
            with pytest.raises(StopRun, match="2 rows where 10 are"):
                writer.finish(checkpoint(version + 1))
        assert loss.happened.is_set() or (mark, count) == (b"delete from", 2)
        writer.close()
    assert ids(warehouse) == (list(range(90, 98)) if count == 8 else list(range(10)))
    assert warehouse.sql("select version from _datahub_checkpoint") == [(version + 1,)]
    assert warehouse.sql(SHADOWS) == [(0,)]


def test_a_swap_that_waits_is_cancelled_and_done_by_a_later_try(warehouse: Warehouse) -> None:
    replaced(warehouse, some(1, 2))
    writer = warehouse.open(**REPLACE)
    writer.start_over()
    version = load(writer, some(3))
    with psycopg.connect(warehouse.dsn) as other:
        other.execute("insert into events values (9)")
        threading.Timer(0.3, writer.cancel).start()
        with pytest.raises(Interrupted):
            writer.finish(checkpoint(version + 1))
        other.rollback()
    writer.close()
    assert ids(warehouse) == [1, 2]
    later = warehouse.open(**REPLACE)
    assert later.target() is not None
    later.finish(checkpoint(version + 1))
    later.close()
    assert ids(warehouse) == [3]


# rights


@pytest.fixture
def reader(warehouse: Warehouse) -> Iterator[dict[str, Any]]:
    """A role that may connect and nothing else, as changes to the connection."""
    warehouse.sql("drop role if exists reader; create role reader login password 'secret-word'")
    yield {"login": "reader", "password": "secret-word"}
    warehouse.sql("drop owned by reader; drop role reader")


def test_who_replaces_need_not_own_the_table(warehouse: Warehouse, reader: dict[str, Any]) -> None:
    replaced(warehouse, some(1))
    warehouse.sql("grant select, insert, delete on events to reader")
    warehouse.sql("grant select, insert, update on _datahub_checkpoint to reader")
    writer = warehouse.open(reader, **REPLACE)
    with pytest.raises(ConfigurationError, match=r'GRANT USAGE, CREATE ON SCHEMA "public" TO "reader"'):
        commit(writer, Batch(some(2)), 3)
    writer.close()
    warehouse.sql("grant create on schema public to reader")
    replaced(warehouse, some(2), connection_changes=reader)
    assert ids(warehouse) == [2]


def test_who_merges_needs_to_update(warehouse: Warehouse, reader: dict[str, Any]) -> None:
    replaced(warehouse, some(1))
    warehouse.sql("create table parts (event int references events); grant select, insert, delete on events to reader")
    with pytest.raises(ConfigurationError, match=r'GRANT UPDATE ON "public"."events" TO "reader"'):
        warehouse.open(reader, **REPLACE)
