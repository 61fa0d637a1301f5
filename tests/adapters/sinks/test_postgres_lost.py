"""Connections that are lost at every moment of a commit, and a server that crashes: 0 lost, 0 doubled.

Rows are appended without a key, so that nothing hides a batch that is written twice.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from signal import SIGQUIT
from typing import Any

import psycopg
import pytest
from psycopg import conninfo

from airflow_datahub.contract import Batch, Writer, Written
from airflow_datahub.demo.postgres import EmbeddedPostgres
from airflow_datahub.errors import Interrupted, RunFailed, StopRun
from airflow_datahub.postgres import link
from airflow_datahub.postgres.ahead import Ahead
from airflow_datahub.postgres.loading import Loader
from airflow_datahub.postgres.preparing import Prepared
from airflow_datahub.postgres.writing import TableWriter
from tests.adapters.sinks.warehouse import Warehouse, checkpoint, commit
from tests.proxy import How, Proxy

KILL = """select pg_terminate_backend(pid) from pg_stat_activity
where application_name = 'airflow-datahub' and datname = current_database()"""


def rows(start: int, count: int = 100) -> Batch:
    return Batch([{"id": n} for n in range(start, start + count)])


def no_counters(written: Written) -> Mapping[str, Any]:
    return {}


def eventually(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


class Appending:
    """A writer that has 100 rows and a batch in its stage, and one that waits; each commit is seen to its end."""

    def __init__(self, warehouse: Warehouse, through: int | None = None):
        self.warehouse = warehouse
        warehouse.sql("drop table if exists events, _datahub_checkpoint; create table events (id int)")
        changes = {} if through is None else {"port": through}
        self.writer: Writer = warehouse.open(changes, strategy="append", key=[])
        commit(self.writer, rows(0), 1)
        self.version = 1

    def prepared(self) -> Prepared:
        """The next batch, in its stage."""
        prepared: Prepared = self.writer.prepare(rows(self.version * 100))
        assert prepared.copy
        assert prepared.copy.done.wait(20)
        return prepared

    def commit(self, prepared: Prepared) -> Written:
        self.version += 1
        return self.writer.commit(prepared, checkpoint(self.version), no_counters)

    def commit_beside(self, prepared: Prepared, what: Callable[[], object], lock: str = "events") -> None:
        """Do something while the commit waits for a lock, which is released then."""
        errors: list[BaseException] = []
        thread = threading.Thread(target=self._commit_for, args=[prepared, errors])
        with psycopg.connect(self.warehouse.dsn) as other:
            other.execute(f'lock table "{lock}"'.encode())
            thread.start()
            eventually(self._waits)
            what()
        thread.join(30)
        assert not errors, errors
        assert not thread.is_alive()

    def is_whole(self) -> bool:
        """Every row of every commit is there once, and the writer goes on, copying ahead."""
        self.commit(self.prepared())
        eventually(self._goes_ahead)
        self.writer.close()
        found = self.warehouse.sql("select id from events order by id")
        version = self.warehouse.sql("select version from _datahub_checkpoint")
        return found == [(n,) for n in range(self.version * 100)] and version == [(self.version,)]

    def _waits(self) -> bool:
        return self.warehouse.sql("select count(*) from pg_locks where not granted") != [(0,)]

    def _goes_ahead(self) -> bool:
        prepared = self.prepared()
        self.commit(prepared)
        return bool(prepared.copy and prepared.copy.name)

    def _commit_for(self, prepared: Prepared, errors: list[BaseException]) -> None:
        try:
            self.commit(prepared)
        except BaseException as error:
            errors.append(error)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lost connection of its own is tried again soon."""
    monkeypatch.setattr("airflow_datahub.postgres.ahead.PAUSE", 0.2)


@pytest.fixture
def appending(warehouse: Warehouse) -> Iterator[Appending]:
    appending = Appending(warehouse)
    yield appending
    appending.writer.close()


# sessions that are ended


def test_ended_between_copy_and_upsert(appending: Appending) -> None:
    prepared = appending.prepared()
    appending.warehouse.sql(KILL)
    assert appending.commit(prepared).inserted == 100
    assert appending.is_whole()


def test_ended_while_copying(appending: Appending) -> None:
    for _ in range(3):
        appending.commit(appending.prepared())
    name = appending.warehouse.sql("select relname from pg_class where relname like '%\\_stage\\_%\\_0'")[0][0]
    with psycopg.connect(appending.warehouse.dsn) as other:
        other.execute(f'lock table "{name}"'.encode())
        prepared: Prepared = appending.writer.prepare(rows(appending.version * 100))
        eventually(lambda: appending.warehouse.sql("select count(*) from pg_locks where not granted") != [(0,)])
        appending.warehouse.sql(KILL)
    assert prepared.copy
    assert prepared.copy.done.wait(20)
    assert not prepared.copy.name
    assert appending.commit(prepared).inserted == 100
    assert appending.is_whole()


def test_ended_while_writing(appending: Appending) -> None:
    prepared = appending.prepared()
    appending.commit_beside(prepared, lambda: appending.warehouse.sql(KILL))
    assert appending.is_whole()


@pytest.mark.parametrize("times", [1, 3])
def test_ended_before_the_checkpoint(appending: Appending, times: int) -> None:
    settled: list[Written] = []

    def settle(written: Written) -> Mapping[str, Any]:
        settled.append(written)
        if len(settled) <= times:
            appending.warehouse.sql(KILL)
        return {}

    appending.version += 1
    prepared = appending.writer.prepare(rows(100))
    assert appending.writer.commit(prepared, checkpoint(2), settle).inserted == 100
    assert len(settled) == times + 1
    assert appending.is_whole()


def test_a_session_that_waits_for_an_answer_that_never_comes_is_given_up(appending: Appending) -> None:
    prepared = appending.prepared()
    appending.writer._link.session.pgconn.send_query(b"select 1")  # whose answer nobody takes
    assert appending.commit(prepared).inserted == 100
    assert appending.is_whole()


def test_ended_again_and_again_gives_up(appending: Appending) -> None:
    settled: list[Written] = []

    def settle(written: Written) -> Mapping[str, Any]:
        settled.append(written)
        appending.warehouse.sql(KILL)
        return {}

    with pytest.raises(RunFailed, match="connection 'warehouse'"):
        appending.writer.commit(appending.prepared(), checkpoint(2), settle)
    assert len(settled) == link.TRIES


def test_sessions_that_are_lost_leave_no_stages(appending: Appending) -> None:
    for _ in range(3):
        appending.commit(appending.prepared())
        appending.warehouse.sql(KILL)
        appending.commit(appending.writer.prepare(rows(appending.version * 100)))
        eventually(appending._goes_ahead)
    found = "select count(*)::int from pg_class where relname like '\\_datahub\\_stage\\_%' and relkind = 'r'"
    assert appending.warehouse.sql(found)[0][0] <= 6  # of a session that the server has not yet ended, perhaps
    assert appending.is_whole()
    assert appending.warehouse.sql(found) == [(0,)]


def test_two_tries_that_meet_one_deadlock(appending: Appending) -> None:
    """The server ends one of two that wait for each other: it begins again and is through."""
    warehouse = appending.warehouse
    warehouse.sql("create table other (id int)")
    warehouse.sql(
        "create function waits() returns trigger language plpgsql as"
        " $$ begin lock table other; return null; end $$;"
        "create trigger waits after insert on events execute function waits()"
    )
    prepared = appending.prepared()
    errors: list[BaseException] = []
    with psycopg.connect(warehouse.dsn) as session:
        session.execute("set deadlock_timeout = '1min'")
        session.execute("lock table other")
        thread = threading.Thread(target=appending._commit_for, args=[prepared, errors])
        thread.start()
        eventually(appending._waits)
        session.execute("lock table events")  # once the writer's second of waiting is over, the server ends its try
    thread.join(30)
    assert not errors, errors
    assert "commit_repeated" in warehouse.log.names()
    assert appending.is_whole()


# answers that are lost


@pytest.fixture
def proxy(warehouse: Warehouse) -> Iterator[Proxy]:
    with Proxy(int(str(conninfo.conninfo_to_dict(warehouse.dsn)["port"]))) as proxy:
        yield proxy


@pytest.mark.parametrize("how", ["before", "after"])
@pytest.mark.parametrize("mark", [b"COMMIT", b"_datahub_checkpoint", b"insert into", b"select count", b"BEGIN"])
def test_a_connection_that_is_lost_at_each_statement(warehouse: Warehouse, proxy: Proxy, mark: bytes, how: How) -> None:
    appending = Appending(warehouse, proxy.port)
    prepared = appending.prepared()
    proxy.lose(mark, how)
    assert appending.commit(prepared).inserted == 100
    assert proxy.lost == 1
    assert ("commit_had_happened" in warehouse.log.names()) == ((mark, how) == (b"COMMIT", "after"))
    assert appending.is_whole()


@pytest.mark.parametrize("mark", [b"COMMIT", b"insert into"])
def test_a_server_that_says_nothing_is_taken_for_lost(
    warehouse: Warehouse, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, mark: bytes
) -> None:
    appending = Appending(warehouse, proxy.port)
    prepared = appending.prepared()
    monkeypatch.setattr(link, "SILENT", 0.5)
    proxy.lose(mark, "silent")
    assert appending.commit(prepared).inserted == 100
    assert proxy.lost == 1
    monkeypatch.setattr(link, "SILENT", 60)
    assert appending.is_whole()


def test_a_silent_copy_is_not_waited_for(warehouse: Warehouse, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    appending = Appending(warehouse, proxy.port)
    appending.commit(appending.prepared())
    monkeypatch.setattr(link, "SILENT", 0.5)
    proxy.lose(b"truncate", "silent")
    for n in (200, 300, 400):
        assert commit(appending.writer, rows(n), n // 100 + 1).inserted == 100
    assert proxy.lost == 1
    appending.writer.close()
    assert warehouse.sql("select count(*), count(distinct id) from events") == [(500, 500)]


def test_a_copy_whose_answer_is_lost(warehouse: Warehouse, proxy: Proxy) -> None:
    appending = Appending(warehouse, proxy.port)
    appending.commit(appending.prepared())
    proxy.lose(b"truncate", "after")
    assert appending.commit(appending.prepared()).inserted == 100
    assert proxy.lost == 1
    assert appending.is_whole()


def test_a_twin_that_does_not_look_for_its_commit_fails(
    warehouse: Warehouse, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TableWriter, "_stands", lambda *_: False)
    appending = Appending(warehouse, proxy.port)
    prepared = appending.prepared()
    proxy.lose(b"COMMIT", "after")
    with pytest.raises(StopRun, match="another writer"):  # it meets itself at the fence
        appending.commit(prepared)
    appending.writer.close()


def test_another_writer_while_the_connection_is_away(warehouse: Warehouse, proxy: Proxy) -> None:
    appending = Appending(warehouse, proxy.port)
    prepared = appending.prepared()

    def overtaken(written: Written) -> Mapping[str, Any]:
        proxy.cut()
        other = warehouse.open(strategy="append", key=[])
        other.commit(other.prepare(rows(100)), checkpoint(2, owner="run-2"), no_counters)
        other.close()
        return {}

    with pytest.raises(StopRun, match="another writer"):
        appending.writer.commit(prepared, checkpoint(2), overtaken)
    appending.writer.close()
    assert warehouse.sql("select count(*) from events") == [(200,)]


def test_what_is_settled_last_is_what_was_committed(
    warehouse: Warehouse, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first try commits only after the second has looked: the second finds its rows there, and meets its fence."""
    warehouse.sql("create table events (id int primary key)")
    writer = warehouse.open({"port": proxy.port})
    commit(writer, rows(0), 1)
    prepared = writer.prepare(rows(100))
    assert prepared.copy.done.wait(20)  # its session says COMMIT, too
    looks = iter([False])
    really = TableWriter._stands
    monkeypatch.setattr(TableWriter, "_stands", lambda self, to: next(looks, None) is None and really(self, to))
    proxy.lose(b"COMMIT", "after")
    settled: list[int] = []

    def settle(written: Written) -> Mapping[str, Any]:
        settled.append(written.inserted)
        return {"inserted": written.inserted}

    assert writer.commit(prepared, checkpoint(2), settle).inserted == 100
    assert settled == [100, 0, 100]
    stands = writer.resume()
    assert stands
    assert (stands.version, stands.counters) == (2, {"inserted": 100})
    writer.close()


# a server that crashes or is away


@pytest.fixture
def crashing(server: EmbeddedPostgres) -> Iterator[Appending]:
    if not server.process or server.process.poll() is not None:
        server.start()
    appending = Appending(Warehouse(server.dsn()))
    yield appending
    if not server.process or server.process.poll() is not None:
        server.start()
    appending.writer.close()


def crash(server: EmbeddedPostgres, away: float = 0) -> None:
    server.stop(SIGQUIT)
    time.sleep(away)
    server.start()


@pytest.mark.parametrize("twin", [False, True], ids=["ours", "twin"])
def test_a_crash_empties_what_was_copied(
    server: EmbeddedPostgres, crashing: Appending, monkeypatch: pytest.MonkeyPatch, twin: bool
) -> None:
    """A twin that goes on with its stages and does not count them commits a batch without its rows."""
    if twin:
        monkeypatch.setattr(Loader, "_count", lambda *_: None)
        monkeypatch.setattr(Ahead, "give_up", lambda _: None)
    first, second = crashing.prepared(), crashing.writer.prepare(rows(200))
    assert second.copy.done.wait(20)
    crash(server)
    written = [crashing.commit(first).inserted, crashing.commit(second).inserted]
    if twin:
        assert written == [0, 0]
    else:
        assert written == [100, 100]
        assert crashing.is_whole()


def test_counting_alone_finds_a_crash(
    server: EmbeddedPostgres, crashing: Appending, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ahead, "give_up", lambda _: None)
    prepared = crashing.prepared()
    crash(server)
    assert crashing.commit(prepared).inserted == 100
    assert "stage_lost" in crashing.warehouse.log.names()
    assert crashing.is_whole()


def test_a_crash_while_writing(server: EmbeddedPostgres, crashing: Appending) -> None:
    prepared = crashing.prepared()
    with pytest.raises(psycopg.OperationalError):  # of the session that held the lock
        crashing.commit_beside(prepared, lambda: crash(server))
    eventually(lambda: crashing.warehouse.sql("select version from _datahub_checkpoint") == [(2,)])
    assert crashing.is_whole()


def test_a_crash_while_copying(server: EmbeddedPostgres, crashing: Appending) -> None:
    thread = threading.Thread(target=crash, args=[server])
    large = Batch([{"id": n} for n in range(100, 1_000_000)])
    prepared: Prepared = crashing.writer.prepare(large)
    thread.start()
    assert crashing.writer.commit(prepared, checkpoint(2), no_counters).inserted == 999_900
    thread.join(30)
    crashing.version = 2
    assert crashing.warehouse.sql("select count(*), count(distinct id) from events") == [(1_000_000, 1_000_000)]


def test_a_server_that_is_away_for_a_while(server: EmbeddedPostgres, crashing: Appending) -> None:
    prepared = crashing.prepared()
    thread = threading.Thread(target=crash, args=[server, 3])
    thread.start()
    time.sleep(0.5)
    assert crashing.commit(prepared).inserted == 100
    thread.join(30)
    assert crashing.is_whole()


def test_a_server_that_stays_away(
    server: EmbeddedPostgres, crashing: Appending, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "AWAY", 1.0)
    prepared = crashing.prepared()
    server.stop(SIGQUIT)
    with pytest.raises(RunFailed, match="the database did not come back within"):
        crashing.commit(prepared)


@pytest.mark.parametrize("asked", ["stop", "cancel"])
def test_a_stop_does_not_wait_for_a_server_that_is_away(
    server: EmbeddedPostgres, crashing: Appending, asked: str
) -> None:
    prepared = crashing.prepared()
    server.stop(SIGQUIT)
    threading.Timer(0.5, crashing.warehouse.stopping.set if asked == "stop" else crashing.writer.cancel).start()
    started = time.monotonic()
    with pytest.raises(Interrupted):
        crashing.commit(prepared)
    assert time.monotonic() - started < 4


@pytest.mark.parametrize("how", ["before", "after"])
def test_a_connection_that_is_lost_at_the_start_is_made_again(warehouse: Warehouse, proxy: Proxy, how: How) -> None:
    """It drops what a dead writer left, in a transaction of its own."""
    warehouse.sql('create table events (id int); create unlogged table "_datahub_stage_x_0123456789_0" (n int)')
    loss = proxy.lose(b"COMMIT", how, nth=1)
    warehouse.load({"id": 1}, strategy="append", key=[], connection_changes={"port": proxy.port})
    assert loss.happened.is_set()
    assert warehouse.sql("select id from events") == [(1,)]
    assert warehouse.sql("select count(*) from pg_class where relpersistence = 'u' and relkind = 'r'") == [(0,)]
