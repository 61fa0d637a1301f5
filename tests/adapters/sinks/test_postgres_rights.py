"""A role that lacks one right, whichever it is: the error holds the GRANT that gives it, and then the load goes on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_datahub.contract import Batch
from airflow_datahub.errors import ConfigurationError
from tests.adapters.sinks.warehouse import Warehouse, commit

ROLE = "loader"
ALL = """
grant connect, temporary on database {database} to loader; grant usage, create on schema public to loader;
grant select, insert, update on events, _datahub_checkpoint to loader
"""
LACKING = {
    "usage of the schema": "usage on schema public",
    "select from the table": "select on events",
    "insert into the table": "insert on events",
    "update of the table": "update on events",
    "temporary tables": "temporary on database {database}",
    "select from the checkpoints": "select on _datahub_checkpoint",
    "insert into the checkpoints": "insert on _datahub_checkpoint",
    "update of the checkpoints": "update on _datahub_checkpoint",
}


@pytest.fixture
def loader(warehouse: Warehouse) -> Iterator[dict[str, Any]]:
    """A role with all rights on a table that somebody else owns, as changes to the connection."""
    warehouse.load({"id": 1, "n": 1}, strategy="upsert")
    (name,) = warehouse.sql("select current_database()")[0]
    warehouse.sql(f"drop role if exists {ROLE}; create role {ROLE} login password 'secret-word'")
    warehouse.sql(f"revoke all on database {name} from public; revoke all on schema public from public")
    warehouse.sql(ALL.format(database=name))
    yield {"login": ROLE, "password": "secret-word"}
    warehouse.sql(f"drop owned by {ROLE}; drop role {ROLE}")
    warehouse.sql(f"grant connect, temporary on database {name} to public")  # as a new database has it


def load(warehouse: Warehouse, loader: dict[str, Any]) -> None:
    """Update a row and insert one, as that role."""
    writer = warehouse.open(loader, strategy="upsert", table="public.events")
    try:
        stands = writer.resume()
        written = commit(writer, Batch([{"id": 1, "n": 2}, {"id": 2, "n": 2}]), stands.version + 1 if stands else 1)
    finally:
        writer.close()
    assert (written.inserted, written.updated) == (1, 1)


def revoke(warehouse: Warehouse, right: str) -> None:
    (name,) = warehouse.sql("select current_database()")[0]
    warehouse.sql(f"revoke {right.format(database=name)} from {ROLE}")


@pytest.mark.parametrize("right", LACKING)
def test_a_right_that_lacks_is_named_and_granted(warehouse: Warehouse, loader: dict[str, Any], right: str) -> None:
    if right == "insert into the checkpoints":
        warehouse.sql("truncate _datahub_checkpoint")  # the first commit of a stream
    revoke(warehouse, LACKING[right])
    with pytest.raises(ConfigurationError, match=r"connection 'warehouse'.*GRANT .* TO \"loader\"$") as caught:
        load(warehouse, loader)
    assert warehouse.sql("select id, n from events") == [(1, 1)]
    found = re.search(r"GRANT .*$", str(caught.value))
    assert found
    warehouse.sql(found[0])
    load(warehouse, loader)
    assert warehouse.sql("select id, n from events order by id") == [(1, 2), (2, 2)]


def test_a_role_that_may_not_connect(warehouse: Warehouse, loader: dict[str, Any]) -> None:
    revoke(warehouse, "connect on database {database}")
    with pytest.raises(ConfigurationError, match="permission denied for database"):
        load(warehouse, loader)


def test_a_role_that_may_create_nothing_loads_by_one_connection(warehouse: Warehouse, loader: dict[str, Any]) -> None:
    revoke(warehouse, "create on schema public")
    load(warehouse, loader)
    assert warehouse.sql("select id, n from events order by id") == [(1, 2), (2, 2)]
