"""The proxy does what the tests of lost connections believe of it."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import conninfo

from tests.proxy import How, Proxy


@pytest.fixture
def proxy(database: str) -> Iterator[Proxy]:
    with Proxy(int(str(conninfo.conninfo_to_dict(database)["port"]))) as proxy:
        yield proxy


@pytest.fixture
def through(database: str, proxy: Proxy) -> str:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("create table t (n int)")
    return conninfo.make_conninfo(database, port=proxy.port)


def rows(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        found = connection.execute("select count(*) from t").fetchone()
        return found[0] if found else -1


@pytest.mark.parametrize(("how", "committed"), [("before", 0), ("after", 1)])
def test_a_commit_is_lost_before_or_after_it_happened(
    proxy: Proxy, through: str, database: str, how: How, committed: int
) -> None:
    loss = proxy.lose(b"COMMIT", how)
    connection = psycopg.connect(through)
    connection.execute("insert into t values (1)")
    with pytest.raises(psycopg.OperationalError):
        connection.commit()
    assert loss.happened.wait(5)
    assert rows(database) == committed
    assert proxy.lost == 1


def test_a_silent_server_answers_no_more(proxy: Proxy, through: str, database: str) -> None:
    loss = proxy.lose(b"COMMIT", "silent", nth=2)
    connection = psycopg.connect(through, autocommit=True)
    with connection.transaction():
        connection.execute("insert into t values (1)")
    connection.pgconn.send_query(b"begin; insert into t values (2); COMMIT")
    assert loss.happened.wait(5)
    connection.pgconn.consume_input()
    assert connection.pgconn.is_busy()
    connection.close()
    assert rows(database) == 2


def test_all_connections_are_cut_and_none_is_taken(proxy: Proxy, through: str) -> None:
    connection = psycopg.connect(through)
    proxy.cut()
    proxy.refusing = True
    with pytest.raises(psycopg.OperationalError):
        connection.execute("select 1")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(through)
    proxy.refusing = False
    assert rows(through) == 0
    assert proxy.connections == 2


def test_answers_are_slow_and_still_whole(proxy: Proxy, through: str) -> None:
    proxy.delay = 0.01
    with psycopg.connect(through) as connection:
        assert connection.execute("select repeat('x', 1000000)").fetchone() == ("x" * 1_000_000,)
