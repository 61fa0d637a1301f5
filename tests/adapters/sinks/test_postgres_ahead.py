"""Two connections: the next batch is copied while one is committed, and nothing depends on what was copied ahead."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from airflow_datahub.contract import Batch, Run, Writer, Written
from airflow_datahub.errors import ConfigurationError, Interrupted, RunFailed
from airflow_datahub.postgres.connecting import connect
from airflow_datahub.postgres.loading import Loader
from airflow_datahub.postgres.preparing import Prepared
from airflow_datahub.postgres.stages import Stages, drop_abandoned, stage_name
from airflow_datahub.postgres.tables import Layout
from tests.adapters.sinks.warehouse import Journal, Warehouse, checkpoint, commit, connection

FOUND = "select count(*)::int from pg_class where relname like '\\_datahub\\_stage\\_%' and relkind = 'r'"


def rows(start: int, count: int = 100) -> Batch:
    return Batch([{"id": n, "n": n} for n in range(start, start + count)])


def eventually(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


@pytest.fixture
def writer(warehouse: Warehouse) -> Iterator[Writer]:
    """One that appends to a table that is there, and has its first batch behind it: version 1, ids 0 to 99."""
    warehouse.sql("create table events (id int, n int check (n >= 0))")
    writer = warehouse.open(strategy="append", key=[])
    commit(writer, rows(0), 1)
    yield writer
    writer.close()


def copied(writer: Writer, batch: Batch) -> Prepared:
    """The batch prepared and in its stage."""
    prepared: Prepared = writer.prepare(batch)
    assert prepared.copy
    assert prepared.copy.done.wait(20)
    return prepared


def committed(writer: Writer, prepared: Prepared, version: int) -> Written:
    return writer.commit(prepared, checkpoint(version), lambda written: {"inserted": written.inserted})


def ids(warehouse: Warehouse) -> list[int]:
    return [row[0] for row in warehouse.sql("select id from events order by id")]


# the overlap


def test_the_next_batch_is_copied_while_one_waits_to_be_written(warehouse: Warehouse, writer: Writer) -> None:
    first = copied(writer, rows(100))
    thread = threading.Thread(target=committed, args=[writer, first, 2])
    with psycopg.connect(warehouse.dsn) as other:
        other.execute("lock table events")
        thread.start()
        eventually(lambda: warehouse.sql("select count(*) from pg_locks where not granted") == [(1,)])
        second, third = copied(writer, rows(200)), copied(writer, rows(300))
        assert thread.is_alive()
        for prepared in (second, third):
            assert prepared.copy
            assert warehouse.sql(f'select count(*) from "{prepared.copy.name}"') == [(100,)]
    thread.join(20)
    committed(writer, second, 3)
    committed(writer, third, 4)
    assert ids(warehouse) == list(range(400))


def test_a_run_of_one_batch_makes_no_stages_and_no_second_connection(warehouse: Warehouse, writer: Writer) -> None:
    assert warehouse.sql(FOUND) == [(0,)]
    ours = "application_name = 'airflow-datahub' and datname = current_database()"
    assert warehouse.sql(f"select count(*) from pg_stat_activity where {ours}") == [(1,)]


@pytest.mark.parametrize(
    "made", ["", "create table events (id int primary key, n text, more int)"], ids=["", "by another"]
)
@pytest.mark.parametrize("strategy", ["upsert", "append"])
def test_the_second_batch_does_not_wait_for_a_table_that_the_first_one_makes(
    warehouse: Warehouse, strategy: str, made: str
) -> None:
    columns = {"id": "bigint", "n": "bigint"}
    writer = warehouse.open(strategy=strategy, key=["id"] if strategy == "upsert" else [], columns=columns)
    first, second = writer.prepare(rows(0)), copied(writer, rows(100))
    assert second.copy
    assert second.copy.name, "it is in its stage before there is a table"
    if made:
        warehouse.sql(made)
        with pytest.raises(ConfigurationError, match="the spec says bigint"):
            committed(writer, first, 1)
        writer.close()
        return
    committed(writer, first, 1)
    committed(writer, second, 2)
    writer.close()
    assert ids(warehouse) == list(range(200))
    assert "stage_lost" not in warehouse.log.names()


def test_more_batches_than_stages_are_copied_by_their_commits(warehouse: Warehouse, writer: Writer) -> None:
    prepared = [copied(writer, rows(100 * n)) for n in range(1, 8)]
    assert [bool(each.copy and each.copy.name) for each in prepared] == [True] * 3 + [False] * 4
    for version, each in enumerate(prepared, 2):
        committed(writer, each, version)
    assert ids(warehouse) == list(range(800))


def test_stages_are_used_again(warehouse: Warehouse, writer: Writer) -> None:
    names = set()
    for n in range(1, 10):
        prepared = copied(writer, rows(100 * n))
        assert prepared.copy
        names.add(prepared.copy.name)
        committed(writer, prepared, n + 1)
    assert len(names) == 3
    assert ids(warehouse) == list(range(1000))


@pytest.mark.parametrize("bad", [{"n": "x"}, {"n": -1}], ids=["by COPY", "by INSERT"])
def test_a_bad_record_that_was_copied_ahead_costs_only_itself(
    warehouse: Warehouse, writer: Writer, bad: dict[str, Any]
) -> None:
    batch = rows(100, 1000)
    for index in (7, 8, 500, 999):
        batch.records[index] |= bad
    prepared = copied(writer, batch)
    assert prepared.copy
    assert prepared.copy.suspect == (bad["n"] == "x")
    written = committed(writer, prepared, 2)
    assert [refusal.index for refusal in written.refused] == [7, 8, 500, 999]
    assert written.inserted == 996
    assert copied(writer, rows(2000)).copy
    assert len(ids(warehouse)) == 1096


def test_an_upsert_tells_new_rows_from_old(warehouse: Warehouse) -> None:
    warehouse.sql("create table events (id int primary key, n int)")
    writer = warehouse.open(strategy="upsert")
    commit(writer, rows(0), 1)
    written = committed(writer, copied(writer, rows(50)), 2)
    assert (written.inserted, written.updated) == (50, 50)
    writer.close()


def test_rows_that_are_folded_in_their_stage(warehouse: Warehouse) -> None:
    warehouse.sql("create table events (id int primary key, n int)")
    writer = warehouse.open(strategy="upsert", newer_by="n")
    commit(writer, rows(0), 1)
    batch = Batch([{"id": 1, "n": 7}, {"id": 1, "n": 9}, {"id": 1, "n": 8}, {"id": 2, "n": 1}, {"id": 300, "n": 0}])
    written = committed(writer, copied(writer, batch), 2)
    assert (written.inserted, written.updated, written.merged, written.unchanged) == (1, 1, 2, 1)
    assert warehouse.sql("select n from events where id in (1, 2) order by id") == [(9,), (2,)]
    writer.close()


def test_new_columns_make_new_stages(warehouse: Warehouse) -> None:
    warehouse.sql("create table events (id int primary key, n int)")
    writer = warehouse.open(strategy="upsert", evolution="evolve")
    commit(writer, rows(0), 1)
    before = copied(writer, rows(100))
    wider = writer.prepare(Batch([{"id": 200, "n": 1, "more": "x"}]))
    assert wider.copy is None
    committed(writer, before, 2)
    committed(writer, wider, 3)
    after = copied(writer, Batch([{"id": 201, "n": 1, "more": "y"}]))
    assert after.copy
    assert after.copy.name
    committed(writer, after, 4)
    assert warehouse.sql("select more from events where id >= 200 order by id") == [("x",), ("y",)]
    assert warehouse.sql(FOUND)[0][0] <= 6  # the first ones go with their session, which may not have ended yet
    writer.close()
    assert warehouse.sql(FOUND) == [(0,)]


def test_a_replacing_load_is_copied_ahead(warehouse: Warehouse) -> None:
    warehouse.sql("create table events (id int primary key, n int); insert into events values (-1, -1)")
    writer = warehouse.open(strategy="replace")
    commit(writer, rows(0), 1)
    later = copied(writer, rows(100))
    assert later.copy
    assert later.copy.name
    committed(writer, later, 2)
    writer.finish(checkpoint(3, cursor=None))
    writer.close()
    assert ids(warehouse) == list(range(200))


def test_the_checkpoint_stays_on_its_page(warehouse: Warehouse, writer: Writer) -> None:
    for version in range(2, 22):
        commit(writer, Batch([]), version)
    writer.close()
    counted = "select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relname = '_datahub_checkpoint'"
    eventually(lambda: warehouse.sql(counted) == [(20, 20)])


# stages that lose their rows


@pytest.fixture(params=["ours", "twin"])
def lost(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many rows are lost: none by our writer, all of the batch by a twin that does not count its stage."""
    if request.param == "twin":
        monkeypatch.setattr(Loader, "_count", lambda *_: None)
        return 100
    return 0


def test_an_emptied_stage_is_noticed(warehouse: Warehouse, writer: Writer, lost: int) -> None:
    prepared = copied(writer, rows(100))
    assert prepared.copy
    warehouse.sql(f'truncate "{prepared.copy.name}"')
    committed(writer, prepared, 2)
    assert len(ids(warehouse)) == 200 - lost
    assert ("stage_lost" in warehouse.log.names()) == (not lost)


@pytest.mark.parametrize("what", ["drop table {}", "delete from {} where n = 150", "insert into {} (n) values (1)"])
def test_a_stage_that_somebody_meddled_with_is_copied_again(warehouse: Warehouse, writer: Writer, what: str) -> None:
    prepared = copied(writer, rows(100))
    assert prepared.copy
    warehouse.sql(what.format(f'"{prepared.copy.name}"'))
    assert committed(writer, prepared, 2).inserted == 100
    assert ids(warehouse) == list(range(200))


# whose stages


def test_stages_go_with_their_writer(warehouse: Warehouse, writer: Writer) -> None:
    committed(writer, copied(writer, rows(100)), 2)
    assert warehouse.sql(FOUND) == [(3,)]
    writer.close()
    assert warehouse.sql(FOUND) == [(0,)]
    assert warehouse.sql("select count(*) from pg_locks where locktype = 'advisory'") == [(0,)]


def test_the_next_start_drops_what_dead_owners_left_and_nothing_else(warehouse: Warehouse, writer: Writer) -> None:
    committed(writer, copied(writer, rows(100)), 2)
    layout = Layout("public", "events", (), writer._into.layout.slots)  # type: ignore[attr-defined]
    dead = connect(connection(warehouse.dsn))
    left = Stages(dead, layout, Run(pipeline="p", run_id="died")).names
    warehouse.sql('create table "_datahub_stage_of_somebody" (id int)')
    warehouse.open(strategy="append", key=[]).close()
    assert warehouse.sql(FOUND) == [(7,)]
    dead.close()
    eventually(lambda: warehouse.sql("select count(*) from pg_locks where locktype = 'advisory'") == [(3,)])
    warehouse.open(strategy="append", key=[]).close()
    assert warehouse.sql(FOUND) == [(4,)]
    assert all(warehouse.sql(f"select to_regclass('{name}')") == [(None,)] for name in left)
    assert committed(writer, copied(writer, rows(200)), 3).inserted == 100


def test_an_abandoned_stage_that_is_in_use_does_not_hold_up_a_start(warehouse: Warehouse, writer: Writer) -> None:
    layout, journal = Layout("public", "events", (), writer._into.layout.slots), Journal()  # type: ignore[attr-defined]
    with connect(connection(warehouse.dsn)) as session:
        name = Stages(session, layout, Run(pipeline="p", run_id="x")).names[0]
    with psycopg.connect(warehouse.dsn) as other, connect(connection(warehouse.dsn)) as session:
        other.execute(f'select * from "{name}"'.encode())
        eventually(lambda: warehouse.sql("select count(*) from pg_locks where locktype = 'advisory'") == [(0,)])
        drop_abandoned(session, "public", journal)
        assert sorted(journal.names()) == ["stage_not_dropped", "stages_dropped"]
    assert warehouse.sql(FOUND) == [(1,)]


def test_names_fit_and_differ() -> None:
    run = Run(pipeline="p", run_id="manual__2024-01-15T09:50:00+00:00_ü" * 3)
    runs = (run, replace(run, map_index=7))
    names = {stage_name(each, f"{token:010x}", n) for each in runs for token in (1, 2) for n in (0, 1)}
    assert len(names) == 8
    assert sum("_7_000000000" in name for name in names) == 4
    assert all(len(name.encode()) == 63 and name.startswith("_datahub_stage_manual_") for name in names)


# what a role may not do


@pytest.fixture
def poor(warehouse: Warehouse) -> Iterator[dict[str, Any]]:
    """A role that may write to `events` and move the checkpoint, and nothing else."""
    warehouse.sql("create table events (id int primary key, n int)")
    warehouse.load({"id": -1, "n": -1})
    warehouse.sql("drop role if exists poor; create role poor login password 'secret-word'")
    warehouse.sql("grant select, insert, update on events, _datahub_checkpoint to poor")
    yield {"login": "poor", "password": "secret-word"}
    warehouse.sql("drop owned by poor; drop role poor")


def load_three(writer: Writer) -> list[bool]:
    """Load three batches; which of them were copied ahead."""
    ahead = []
    for n in range(3):
        prepared = writer.prepare(rows(100 * n))
        ahead.append(bool(prepared.copy and prepared.copy.done.wait(20) and prepared.copy.name))
        assert committed(writer, prepared, n + 2).inserted == 100
    writer.close()
    return ahead


def test_a_role_that_may_not_make_stages_writes_by_one_connection(warehouse: Warehouse, poor: dict[str, Any]) -> None:
    assert load_three(warehouse.open(poor)) == [False] * 3
    said = dict(warehouse.log.events)["one_connection"]
    assert said["faster_with"] == 'GRANT CREATE ON SCHEMA "public" TO "poor"'
    warehouse.sql(f"{said['faster_with']}; delete from events; update _datahub_checkpoint set version = 1")
    assert load_three(warehouse.open(poor)) == [False, True, True]


def test_a_role_with_one_connection_has_to_do_with_it(warehouse: Warehouse, poor: dict[str, Any]) -> None:
    warehouse.sql("grant create on schema public to poor; alter role poor connection limit 1")
    assert load_three(warehouse.open(poor)) == [False] * 3
    assert warehouse.log.names().count("not_copied_ahead") == 1


def test_a_role_that_may_not_make_temporary_tables(warehouse: Warehouse, poor: dict[str, Any]) -> None:
    name = warehouse.sql("select current_database()")[0][0]
    warehouse.sql(f"revoke temporary on database {name} from public")
    writer = warehouse.open(poor)
    try:
        with pytest.raises(ConfigurationError, match=f'GRANT TEMPORARY ON DATABASE "{name}" TO "poor"'):
            commit(writer, rows(0), 2)
    finally:
        writer.close()
        warehouse.sql(f"grant temporary on database {name} to public")


# errors that are nobody's record


@pytest.mark.parametrize("state", ["53100", "57014", "40P01", "XX001"])
def test_an_error_of_the_server_is_an_error_of_ours(warehouse: Warehouse, writer: Writer, state: str) -> None:
    warehouse.sql(
        "create function fails() returns trigger language plpgsql as"
        f" $$ begin raise exception 'no space left' using errcode = '{state}'; end $$;"
        "create trigger fails before insert on events execute function fails()"
    )
    with pytest.raises(RunFailed, match=r"connection 'warehouse': .*no space left"):
        committed(writer, copied(writer, rows(100)), 2)
    warehouse.sql("drop trigger fails on events")
    assert committed(writer, copied(writer, rows(100)), 2).inserted == 100


def test_a_cancel_ends_both_connections(warehouse: Warehouse, writer: Writer) -> None:
    committed(writer, copied(writer, rows(100)), 2)
    name = warehouse.sql("select relname from pg_class where relname like '\\_datahub\\_stage\\_%\\_0'")[0][0]
    with psycopg.connect(warehouse.dsn) as other:
        other.execute(f'lock table "{name}"'.encode())
        for n in (3, 4):
            committed(writer, copied(writer, rows(100 * n)), n)
        stuck = writer.prepare(rows(500))
        timer = threading.Timer(0.3, writer.cancel)
        timer.start()
        start = time.monotonic()
        with pytest.raises(Interrupted):
            committed(writer, stuck, 5)
        writer.close()
        assert time.monotonic() - start < 4
        timer.join()
    assert len(ids(warehouse)) == 400
