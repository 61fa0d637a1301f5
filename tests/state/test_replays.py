"""What a replay takes, on both databases of the store."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_datahub.contract import Stream
from airflow_datahub.errors import ConfigurationError
from airflow_datahub.state import Reject, Which
from airflow_datahub.state.store import Store
from tests.state.conftest import Opener

STREAM = Stream("orders", "a>b")
EVERY = Which()


def set_aside(store: Store, count: int) -> list[int]:
    """Open rejects of two steps; their ids."""
    found = [Reject(n, ("tidy", "load")[n % 2], None, None, "bad", {"id": n}) for n in range(count)]
    store.add_rejects(STREAM, "owner", "run-1", "revision", 1, found, provisional=False)
    return sorted(row.id for row in store.rejects("orders", limit=count))


def test_tasks_that_begin_at_once_take_the_same(opener: Opener) -> None:
    together = threading.Barrier(4)
    with opener() as store:
        set_aside(store, 20)
        store.begin("orders", "replay-1", "revision", "replay")

    def task(_: int) -> int:
        with opener() as own:
            together.wait()
            return own.replays.take("orders", "replay-1", EVERY, "ada")

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(task, range(4))) == [20] * 4
    with opener() as store:
        assert [row.act for row in store.audits("orders")] == ["rejects replay"]


def test_what_opens_later_is_not_of_it(store: Store) -> None:
    first = set_aside(store, 3)
    store.begin("orders", "replay-1", "revision", "replay")
    assert store.replays.take("orders", "replay-1", EVERY, "ada") == 3
    set_aside(store, 2)
    assert store.replays.take("orders", "replay-1", EVERY, "ada") == 3
    taken = store.replays.taken("orders", "replay-1", ["tidy", "load"], 0, 10)
    assert [row.id for row in taken] == first
    assert [row.id for row in store.replays.taken("orders", "replay-1", ["load"], 0, 10)] == [first[1]]


def test_two_replays_never_take_the_same(store: Store) -> None:
    ids = set_aside(store, 4)
    assert store.replays.take("orders", "one", Which(ids=frozenset(ids[:2])), "ada") == 2
    with pytest.raises(ConfigurationError, match=f"reject {ids[1]} cannot be replayed: it is replaying by run 'one'"):
        store.replays.take("orders", "two", Which(ids=frozenset(ids[1:])), "ada")
    assert store.replays.take("orders", "two", EVERY, "ada") == 2
    assert store.replays.free("orders", "one") == 2
    assert store.replays.done("orders", "two") == 2
    assert [row.id for row in store.rejects("orders")] == ids[:2][::-1]
