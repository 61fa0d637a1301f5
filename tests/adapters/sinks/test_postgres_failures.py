"""What the errors of PostgreSQL mean, by their codes."""

from __future__ import annotations

import psycopg
import pytest

from airflow_datahub.errors import ConfigurationError, RunFailed
from airflow_datahub.postgres.failures import Place, failure, retryable

PLACE = Place("warehouse", "loader", 'INSERT ON "public"."events"')


def raised(state: str) -> psycopg.Error:
    """The driver's error for a code."""
    return psycopg.errors.lookup(state)("as the server puts it")


@pytest.mark.parametrize("state", ["40001", "40P01", "08006", "57P01", "57P02", "57P03", "25P03"])
def test_what_is_begun_again(state: str) -> None:
    assert retryable(raised(state))
    assert type(failure(raised(state), PLACE)) is RunFailed


@pytest.mark.parametrize("state", ["53100", "55P03", "57014", "25006", "53300", "XX000"])
def test_what_is_left_to_the_task_s_retries(state: str) -> None:
    assert not retryable(raised(state))
    assert type(failure(raised(state), PLACE)) is RunFailed


@pytest.mark.parametrize("state", ["42501", "42P01", "3F000", "28P01", "0A000"])
def test_what_a_person_must_put_right(state: str) -> None:
    assert not retryable(raised(state))
    assert type(failure(raised(state), PLACE)) is ConfigurationError


def test_a_connection_that_is_gone_has_no_code() -> None:
    assert retryable(psycopg.OperationalError("server closed the connection unexpectedly"))
    assert not retryable(psycopg.InterfaceError("bad call"))
    assert not retryable(ValueError())
    assert not retryable(None)
