"""From an Airflow connection to a session with settings that do not depend on the server's."""

from __future__ import annotations

from typing import Any

import psycopg

from airflow_datahub.contract import Connection
from airflow_datahub.errors import ConfigurationError, RunError, RunFailed

Session = psycopg.Connection[tuple[Any, ...]]

SETTINGS = {
    "lock_timeout": "30s",
    "statement_timeout": "10min",
    "idle_in_transaction_session_timeout": "10min",  # a worker that is cut off must not hold its locks for hours
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "default_transaction_isolation": "read committed",
    "temp_buffers": "32MB",
    "jit": "off",
}

_DEFAULTS: dict[str, Any] = {
    "connect_timeout": 5,
    "application_name": "airflow-datahub",
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
_OPTIONS = {
    *_DEFAULTS, "sslmode", "sslcert", "sslkey", "sslpassword", "sslrootcert", "sslcrl", "sslnegotiation", "options",
    "keepalives", "channel_binding", "require_auth", "target_session_attrs", "gssencmode", "krbsrvname", "hostaddr",
}  # fmt: skip
_OF_THE_HOOK = {"cursor", "enable_log_db_messages", "sqlalchemy_scheme", "sqlalchemy_query"}
"""Extras that Airflow's own hook reads and that mean nothing to a session of ours."""

_FOR_A_PERSON = (
    "password authentication failed", "no password supplied", "authentication failed", "does not exist",
    "pg_hba.conf", "not permitted to log in", "permission denied", "certificate", "does not support SSL",
    "invalid sslmode", "invalid port", "invalid integer",
)  # fmt: skip
"""A failed log-in carries no SQLSTATE, only text. What is not here is tried again, which does no harm."""


def connect(connection: Connection) -> Session:
    """A session in autocommit. ConfigurationError for what a person must put right, else RunFailed."""
    try:
        session = psycopg.connect("", autocommit=True, prepare_threshold=None, **_arguments(connection))
    except psycopg.Error as error:
        raise _failure(connection, error) from error
    try:
        calls = ", ".join(["set_config(%s, %s, false)"] * len(SETTINGS))
        session.execute(f"select {calls}", [text for pair in SETTINGS.items() for text in pair])
    except psycopg.Error as error:
        session.close()
        raise _failure(connection, error) from error
    return session


def backend(session: Session) -> tuple[Any, ...] | None:
    """The server's process behind a session, to be ended by `end_backend`; its number alone may be given anew."""
    return session.execute("select pid, backend_start from pg_stat_activity where pid = pg_backend_pid()").fetchone()


def end_backend(session: Session, lost: tuple[Any, ...] | None) -> None:
    """End a process whose connection was lost, if it is still there: the server may not have noticed."""
    if lost:
        session.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where pid = %s and backend_start = %s", lost
        )


def _arguments(connection: Connection) -> dict[str, Any]:
    """What libpq is told; None values are left to it."""
    if connection.type not in ("postgres", "postgresql"):
        raise ConfigurationError(f"connection {connection.id!r} is of type {connection.type!r}, it must be postgres")
    unknown = sorted(set(connection.extra) - _OPTIONS - _OF_THE_HOOK)
    if unknown:
        raise ConfigurationError(
            f"connection {connection.id!r}: extra {', '.join(unknown)} is not known; "
            f"known are {', '.join(sorted(_OPTIONS))}"
        )
    given = {name: value for name, value in connection.extra.items() if name in _OPTIONS}
    return {
        **_DEFAULTS, **given, "client_encoding": "utf8",
        "host": connection.host or None, "port": connection.port, "user": connection.login or None,
        "password": connection.password, "dbname": connection.schema or None,
    }  # fmt: skip


def _failure(connection: Connection, error: psycopg.Error) -> RunError:
    text = " ".join(str(error).split())
    message = f"connection {connection.id!r} ({connection.host or 'local socket'}): {text[:300]}"
    if isinstance(error, psycopg.ProgrammingError) or any(words in text for words in _FOR_A_PERSON):
        return ConfigurationError(message)
    return RunFailed(message)
