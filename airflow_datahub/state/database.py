"""The database behind the store: an SQLite file or PostgreSQL, with transactions, deadlines and errors in our words.

No connection outlives a transaction, so a store may be used from any thread and after a fork.
"""

from __future__ import annotations

import fcntl
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from airflow_datahub.contract import Connection
from airflow_datahub.errors import ConfigurationError, RunError, RunFailed

CONNECT_TIMEOUT = 5
"""Seconds to reach PostgreSQL."""
STATEMENT_TIMEOUT = 60
"""Seconds that one statement may run on PostgreSQL."""
CREATION_LOCK = 5_012_402_113_705_127_001
"""The advisory lock under which the tables are made; any number, but the same in every release."""


class Database(ABC):
    """Where the tables are. `name` is for messages, `wait` the seconds to wait for a lock."""

    def __init__(self, name: str, engine: sa.Engine, wait: float):
        self.name, self.engine, self.wait = name, engine, wait
        self._driver_error: type[Exception] = engine.dialect.loaded_dbapi.Error

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """A transaction that only reads. Raises RunFailed or ConfigurationError for what the database says."""
        return self._transaction(self._opening(writes=False))

    def writing(self) -> AbstractContextManager[sa.Connection]:
        """A transaction that is durable once it is left. Raises as `reading` does."""
        return self._transaction(self._opening(writes=True))

    @abstractmethod
    def alone(self) -> AbstractContextManager[sa.Connection]:
        """A writing transaction in which one process is at a time: to make the tables."""

    def insert(self, connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert many rows of the same columns, within a writing transaction."""
        connection.execute(table.insert(), rows)

    def upsert(self, table: sa.Table) -> Any:
        """An insert that knows `on_conflict_do_update` and `on_conflict_do_nothing`."""
        # the other dialect would cost every run 5 MB and a tenth of a second
        return import_module(f"sqlalchemy.dialects.{self.engine.dialect.name}").insert(table)

    @abstractmethod
    def _opening(self, *, writes: bool) -> str:
        """The SQL that a transaction begins with."""

    @abstractmethod
    def _error(self, cause: BaseException, text: str) -> RunError:
        """Our error for the driver's."""

    @contextmanager
    def _transaction(self, opening: str) -> Iterator[sa.Connection]:
        with self._explained(), self.engine.connect() as connection, connection.begin():
            connection.exec_driver_sql(opening)
            yield connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.DBAPIError, self._driver_error) as error:
            cause = getattr(error, "orig", None) or error
            raise self._error(cause, " ".join(str(cause).split())[:300]) from cause

    def _locked(self, text: str) -> RunFailed:
        return RunFailed(f"{self.name} stayed locked by another process for {self.wait:g} s: {text}; try again")


class SQLite(Database):
    """One file on one machine, made readable for its owner alone."""

    _FOR_A_PERSON = (
        "SQLITE_READONLY",
        "SQLITE_CANTOPEN",
        "SQLITE_NOTADB",
        "SQLITE_PERM",
        "SQLITE_AUTH",
        "SQLITE_CORRUPT",
    )

    def __init__(self, path: Path, wait: float):
        """Make the empty file where it is missing; ConfigurationError where that cannot be done."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise ConfigurationError(
                f"the store {path} cannot be opened: {error.strerror}; see AIRFLOW_HOME"
            ) from error
        engine = sa.create_engine(
            sa.URL.create("sqlite", database=str(path)),
            poolclass=sa.NullPool,
            hide_parameters=True,
            # Without the driver's own idea of transactions: it begins them late, and then a write may find the
            # database changed since its read and fail at once, however long it was to wait.
            connect_args={"timeout": wait, "isolation_level": None},
        )
        super().__init__(f"the store {path}", engine, wait)
        self._path = path

    @contextmanager
    def alone(self) -> Iterator[sa.Connection]:
        """See Database. The change to WAL cannot be made in a transaction, nor by two at once: hence a file's lock."""
        with self._file_lock():
            with self._explained(), self.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            with self.writing() as connection:
                yield connection

    def _opening(self, *, writes: bool) -> str:
        return "BEGIN IMMEDIATE" if writes else "BEGIN"

    def _error(self, cause: BaseException, text: str) -> RunError:
        code = getattr(cause, "sqlite_errorname", "")
        if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return self._locked(text)
        kind = ConfigurationError if code.startswith(self._FOR_A_PERSON) else RunFailed
        return kind(f"{self.name} cannot be used: {text} ({code or type(cause).__name__})")

    @contextmanager
    def _file_lock(self) -> Iterator[None]:
        """A lock beside the file; it falls with its process, however that ends."""
        descriptor = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + self.wait
        try:
            while not _locks(descriptor):
                if time.monotonic() > deadline:
                    raise self._locked(f"{self._path}.lock is held")
                time.sleep(0.02)
            yield
        finally:
            os.close(descriptor)


class PostgreSQL(Database):
    """A database that any number of machines share, reached through an Airflow connection.

    The connection's extra goes to libpq as it is: sslmode, sslrootcert, target_session_attrs.
    """

    _FOR_A_PERSON = ("28", "3D", "3F", "42")
    """Classes of SQLSTATE: credentials, no such database, no such schema, missing rights or tables."""
    _REFUSALS = ("authentication failed", "no password supplied", "does not exist", "no pg_hba.conf entry")
    """The server's answers to a connect, which come without an SQLSTATE."""

    def __init__(self, connection: Connection, wait: float):
        """Connect to nothing yet; ConfigurationError for a connection of another type."""
        if connection.type != "postgres":
            raise ConfigurationError(
                f"connection {connection.id!r} is of type {connection.type!r}: the store needs one of type 'postgres'"
            )
        engine = sa.create_engine(
            "postgresql+psycopg://",
            poolclass=sa.NullPool,
            hide_parameters=True,
            use_native_hstore=False,
            connect_args=_libpq(connection),
        )
        place = f"{connection.host or 'local socket'}/{connection.schema or ''}"
        super().__init__(f"the store behind connection {connection.id!r} ({place})", engine, wait)

    @contextmanager
    def alone(self) -> Iterator[sa.Connection]:
        """See Database."""
        with self.writing() as connection:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(CREATION_LOCK)))
            yield connection

    def insert(self, connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """See Database. By COPY: ten thousand single inserts keep the server busy for seconds."""
        names = ", ".join(f'"{name}"' for name in rows[0])
        driver: Any = connection.connection.driver_connection
        with driver.cursor() as cursor, cursor.copy(f'COPY "{table.name}" ({names}) FROM STDIN') as copy:
            for row in rows:
                copy.write_row(tuple(row.values()))

    def _opening(self, *, writes: bool) -> str:
        # For the transaction alone: a pooler between us and the server hands the session on to others.
        mode = "" if writes else "SET TRANSACTION READ ONLY; "
        lock, statement = (int(seconds * 1000) for seconds in (self.wait, STATEMENT_TIMEOUT))
        return f"{mode}SET LOCAL lock_timeout = {lock}; SET LOCAL statement_timeout = {statement}"

    def _error(self, cause: BaseException, text: str) -> RunError:
        state = getattr(cause, "sqlstate", None) or ""
        if state == "55P03":
            return self._locked(text)
        refused = not state and any(words in text for words in (*self._REFUSALS, "invalid connection option"))
        kind = ConfigurationError if refused or state.startswith(self._FOR_A_PERSON) else RunFailed
        return kind(f"{self.name} cannot be used: {text}")


def _libpq(connection: Connection) -> dict[str, object]:
    """Arguments of `psycopg.connect`; what the extra says wins over our defaults."""
    address = {
        "host": connection.host,
        "port": connection.port,
        "user": connection.login,
        "password": connection.password,
        "dbname": connection.schema,
    }
    defaults = {"connect_timeout": CONNECT_TIMEOUT, "application_name": "airflow-datahub", "prepare_threshold": None}
    return {**defaults, **{name: value for name, value in address.items() if value}, **connection.extra}


def _locks(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
