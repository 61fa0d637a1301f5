"""Takes a lock, waits a little where another has it, and gives it back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from airflow_datahub import environment
from airflow_datahub.contract import Run, UndefinedConnection
from airflow_datahub.errors import ConfigurationError, Interrupted, RetryLater
from airflow_datahub.locks.lock import Check, Keeper, Lost, Wanted

ASK_EVERY = 0.2
"""Seconds between two tries to take a lock."""
COME_BACK = 30.0
"""Seconds after which a task that did not get it tries again."""


@contextmanager
def held(wanted: Wanted, run: Run) -> Iterator[Check]:
    """Hold a lock; gives what to call before anything is written for good.

    Raises RetryLater where another has it for longer than is waited, Interrupted where a stop was asked for meanwhile,
    RunFailed where its keeper is out of reach and ConfigurationError where that cannot be used."""
    keeper = _keeper(wanted, run)
    try:
        _take(keeper, wanted, run)
        run.log.info("lock_taken", lock=wanted.name, kept=keeper.place)
        yield _checking(keeper, wanted)
    finally:
        keeper.close()


def _take(keeper: Keeper, wanted: Wanted, run: Run) -> None:
    until = time.monotonic() + wanted.wait
    while not keeper.take():
        if time.monotonic() >= until:
            by = keeper.holder()
            raise RetryLater(
                f"the lock {wanted.name!r} ({keeper.place}) is held by {by or 'another run'}; "
                f"it did not become free within {wanted.wait:g} s",
                COME_BACK,
            )
        if run.stopping.wait(ASK_EVERY):
            raise Interrupted(f"stopped while waiting for the lock {wanted.name!r}")


def _checking(keeper: Keeper, wanted: Wanted) -> Check:
    def check() -> None:
        try:
            keeper.check()
        except Lost as error:
            raise RetryLater(
                f"the lock {wanted.name!r} ({keeper.place}) is lost: {error}; nothing is written without it", COME_BACK
            ) from error

    return check


def _keeper(wanted: Wanted, run: Run) -> Keeper:
    """Redis, PostgreSQL or a file, the first of which processes here share one, unless the spec names another."""
    backend = wanted.backend or _by_connection(wanted, run) or _shared(run)
    return _KEEPERS[backend](wanted, run)


def _by_connection(wanted: Wanted, run: Run) -> str | None:
    if wanted.connection is None:
        return None
    kind = run.connections(wanted.connection).type
    backend = {"redis": "redis", "postgres": "postgres", "postgresql": "postgres"}.get(kind)
    if backend is None:
        raise ConfigurationError(
            f"connection {wanted.connection!r} is of type {kind!r}: a lock is kept in redis or postgres"
        )
    return backend


def _shared(run: Run) -> str:
    if run.redis:
        return "redis"
    return "postgres" if _store_on_a_server(run) else "file"


def _store_on_a_server(run: Run) -> bool:
    try:
        return run.connections(_store_id()).type in ("postgres", "postgresql")
    except UndefinedConnection:
        return False


def _store_id() -> str:
    return environment.option("store_connection") or ""


def _redis(wanted: Wanted, run: Run) -> Keeper:
    from airflow_datahub.locks.redis import RedisLock

    connection = wanted.connection or run.redis
    if not connection:
        raise ConfigurationError(
            "a lock in redis needs a connection: name it in `lock`, or set [airflow_datahub] redis_conn_id"
        )
    return RedisLock(wanted, run.connections(connection))


def _postgres(wanted: Wanted, run: Run) -> Keeper:
    from airflow_datahub.locks.postgres import PostgresLock

    return PostgresLock(wanted, run.connections(wanted.connection or _store_id()))


def _file(wanted: Wanted, run: Run) -> Keeper:
    from airflow_datahub.locks.file import FileLock

    return FileLock(wanted, environment.airflow_home() / "airflow_datahub_locks")


def _memory(wanted: Wanted, run: Run) -> Keeper:
    from airflow_datahub.locks.memory import MemoryLock

    return MemoryLock(wanted)


_KEEPERS: dict[str, Callable[[Wanted, Run], Keeper]] = {
    "redis": _redis,
    "postgres": _postgres,
    "file": _file,
    "memory": _memory,
}
