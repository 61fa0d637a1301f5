"""What a table is called outside its database, and what it is made of."""

from __future__ import annotations

from airflow_datahub.contract import Connection, Place
from airflow_datahub.postgres.connecting import connect
from airflow_datahub.postgres.declared import split_table

COLUMNS = """
    select attname, format_type(atttypid, atttypmod) from pg_attribute
    where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped order by attnum
"""


def place(connection: Connection, table: str) -> Place:
    """The table by OpenLineage's rules of naming: `postgres://host:port` and `database.schema.table`."""
    schema, name = split_table(table)
    host = connection.host or "localhost"
    shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
    database = connection.schema or connection.login or "postgres"
    return Place(f"postgres://{shown}:{connection.port or 5432}", f"{database}.{schema or 'public'}.{name}")


def fields(connection: Connection, table: str) -> list[tuple[str, str]]:
    """Its columns and their types; none where there is no such table."""
    quoted = ".".join('"' + part.replace('"', '""') + '"' for part in split_table(table) if part)
    with connect(connection) as session:
        return [(str(name), str(kind)) for name, kind in session.execute(COLUMNS, [quoted])]
