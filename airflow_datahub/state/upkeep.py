"""What a person asks of the store as a whole: where it is, how large, which schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from airflow_datahub.state import tables
from airflow_datahub.state.database import Database


@dataclass(frozen=True, slots=True)
class Size:
    """The store as it is."""

    where: str
    schema: int | None
    """None before its tables are made."""
    rows: Mapping[str, int]
    """By the name of the table."""
    bytes: int
    """Of the whole file, or of our tables with their indexes."""


def size(database: Database) -> Size:
    """Measure a store; nothing is made or changed in it."""
    found = tables.version(database)
    with database.reading() as connection:
        there = [table for table in tables.metadata.sorted_tables if sa.inspect(connection).has_table(table.name)]
        rows = {each.name: connection.scalar(sa.select(sa.func.count()).select_from(each)) or 0 for each in there}
        return Size(database.name, found, rows, _bytes(connection, list(rows)))


def _bytes(connection: sa.Connection, names: list[str]) -> int:
    if connection.dialect.name == "sqlite":
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar() or 0
        return pages * (connection.exec_driver_sql("PRAGMA page_size").scalar() or 0)
    of_table = [sa.func.pg_total_relation_size(sa.cast(sa.func.quote_ident(name), sa.Text)) for name in names]
    return sum(connection.scalar(sa.select(each)) or 0 for each in of_table)
