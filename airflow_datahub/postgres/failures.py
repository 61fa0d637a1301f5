"""What an error of PostgreSQL means: this record is bad, a person must act, or try again."""

from __future__ import annotations

import re
from dataclasses import dataclass

import psycopg

from airflow_datahub.contract import Refusal
from airflow_datahub.errors import ConfigurationError, RunError, RunFailed
from airflow_datahub.postgres.connecting import SETTINGS

_DATA_CLASSES = ("22", "23", "44", "54")
_DATA_STATES = ("21000", "42804", "P0001")
"""One key twice in an upsert, a value of another type, a trigger's RAISE."""

_PERSON_CLASSES = ("42", "3F", "0A", "28")
_RETRY_STATES = ("42P07", "42710")
"""Made by somebody else at the same moment."""

_BEGUN_AGAIN = ("40001", "40P01")
"""A serialization failure, a deadlock."""
_ENDED = ("25P03", "57P01", "57P02", "57P03", "57P05")
"""A session that the server ended or would not begin: a restart, a failover."""

_HINTS = {
    "22021": "text holds a NUL character, which PostgreSQL cannot store",
    "22P05": "JSON holds \\u0000, which jsonb cannot store",
    "55P03": f"waited {SETTINGS['lock_timeout']} for a lock that another session holds",
    "57014": f"a statement took longer than {SETTINGS['statement_timeout']}, or was cancelled",
    "40P01": "deadlock with another session",
    "53100": "the server's disk is full",
    "25006": "the server is read-only (a replica, or a failover under way)",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is done, for the message."""

    connection: str
    role: str
    rights: str
    """What is needed, as in `GRANT …`: `INSERT ON "public"."events"`."""


def failure(error: psycopg.Error, place: Place) -> RunError:
    """ConfigurationError where no retry helps, else RunFailed."""
    state = error.sqlstate or ""
    message = f"connection {place.connection!r}: {said(error)}"
    if state == "42501":
        return ConfigurationError(f'{message}; as the owner run: GRANT {place.rights} TO "{place.role}"')
    if state[:2] in _PERSON_CLASSES and state not in _RETRY_STATES:
        return ConfigurationError(message)
    return RunFailed(message)


def retryable(error: BaseException | None) -> bool:
    """Whether the same transaction may well succeed when it is begun again, on a new session if this one is gone."""
    return unusable(error) or (isinstance(error, psycopg.Error) and error.sqlstate in _BEGUN_AGAIN)


def unusable(error: BaseException | None) -> bool:
    """Whether nothing more goes through this session."""
    if not isinstance(error, psycopg.Error):
        return False
    state = error.sqlstate or ""
    unsaid = not state and isinstance(error, psycopg.OperationalError)
    return unsaid or state in _ENDED or state.startswith("08")


def said(error: psycopg.Error) -> str:
    """PostgreSQL's own sentence, without its details, which show whole rows; a hint of ours where it is cryptic."""
    text = " ".join((error.diag.message_primary or str(error)).split())
    text = text if len(text) <= 200 else text[:199] + "…"
    hint = _HINTS.get(error.sqlstate or "")
    return f"{hint} ({text})" if hint else text


def of_data(error: psycopg.Error) -> bool:
    """Whether a record is to blame, not the server."""
    state = error.sqlstate or ""
    return state[:2] in _DATA_CLASSES or state in _DATA_STATES


def line_of(error: psycopg.Error, table: str) -> int | None:
    """The line of a COPY that failed, from 1. The words around it are in the server's language."""
    found = re.search(rf"COPY {table}, \D*(\d+)", error.diag.context or "")
    return int(found[1]) if found else None


def refusal(index: int, error: psycopg.Error, table: str) -> Refusal:
    """The record `index` refused, with PostgreSQL's sentence and the column where it is known."""
    found = re.search(rf"COPY {table}, \D*\d+, \S+ (.+?)(?::|$)", error.diag.context or "", re.MULTILINE)
    return Refusal(index, said(error), error.diag.column_name or (found[1] if found else None))
