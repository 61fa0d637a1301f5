"""A lock that PostgreSQL keeps for a session of its own, and frees when that ends, however that happens."""

from __future__ import annotations

import hashlib

import psycopg

from airflow_datahub.contract import Connection
from airflow_datahub.errors import RunFailed
from airflow_datahub.locks.lock import Keeper, Lost, Wanted
from airflow_datahub.postgres.connecting import connect

_HOLDER = """
select application_name from pg_locks join pg_stat_activity using (pid)
where locktype = 'advisory' and granted and objsubid = 1
  and database = (select oid from pg_database where datname = current_database())
  and (classid::bigint << 32) | objid::bigint = %s
"""


class PostgresLock(Keeper):
    """An advisory lock; its number is made of its name."""

    def __init__(self, wanted: Wanted, connection: Connection):
        """Connects. Raises RunFailed where the server is out of reach, ConfigurationError where it cannot be used."""
        self.place = f"in the database of connection {connection.id!r}"
        digest = hashlib.sha256(f"airflow_datahub:{wanted.name}".encode()).digest()
        self._number = int.from_bytes(digest[:8], "big", signed=True)
        self._session = connect(connection)
        self._ask("select set_config('application_name', %s, false)", wanted.holder)

    def take(self) -> bool:
        return bool(self._ask("select pg_try_advisory_lock(%s)", self._number))

    def holder(self) -> str:
        return str(self._ask(_HOLDER, self._number) or "")

    def check(self) -> None:
        try:
            self._session.execute("select 1")
        except psycopg.Error as error:
            raise Lost(" ".join(str(error).split())[:300]) from error

    def close(self) -> None:
        self._session.close()

    def _ask(self, statement: str, value: object) -> object:
        try:
            row = self._session.execute(statement.encode(), (value,)).fetchone()
        except psycopg.Error as error:
            raise RunFailed(f"the lock {self.place}: {' '.join(str(error).split())[:300]}") from error
        return row and row[0]
