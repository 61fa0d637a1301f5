"""What an Airflow connection of type redis says to the breakers."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import Any

import pytest

from airflow_datahub.contract import Connection
from airflow_datahub.errors import ConfigurationError
from airflow_datahub.redis_connection import client_of
from tests.world import ROOT


def test_without_the_library_the_error_names_the_extra() -> None:
    code = """
    import sys
    sys.modules["redis"] = None
    from airflow_datahub.contract import Connection
    from airflow_datahub.redis_connection import client_of
    client_of(Connection("states", "redis"))
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, capture_output=True, text=True)
    assert "ConfigurationError: connection 'states'" in run.stderr
    assert "pip install 'airflow-datahub[redis]'" in run.stderr


def test_the_fields_are_those_of_airflows_provider() -> None:
    given: dict[str, Any] = {"login": "me", "password": "p", "schema": "2", "extra": {"ssl": "true", "other": 1}}
    pool = client_of(Connection("r", "redis", "host", **given)).connection_pool
    settings = pool.connection_kwargs
    wanted = {"host": "host", "port": 6379, "db": 2, "username": "me", "password": "p", "ssl_cert_reqs": "required"}
    assert {name: settings[name] for name in wanted} == wanted
    assert pool.connection_class.__name__ == "SSLConnection"
    plain = client_of(Connection("r", "redis", password="None", schema="2", extra={"db": 5})).connection_pool
    assert (plain.connection_kwargs["db"], plain.connection_kwargs["password"]) == (5, None)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (Connection("r", "rediss"), "is of type 'rediss'.* must be redis"),
        (Connection("r", "redis", schema="public"), "its schema is 'public', not the number of a database"),
        (Connection("r", "redis", extra={"ssl_cert_reqs": "maybe"}), "extra 'ssl_cert_reqs': "),
        (Connection("r", "redis", extra={"cluster": True}), "a cluster cannot keep what"),
    ],
)
def test_a_connection_that_cannot_be_used_is_named(given: Connection, error: str) -> None:
    with pytest.raises(ConfigurationError, match=f"connection 'r'.*{error}"):
        client_of(given)
