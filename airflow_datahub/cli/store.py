"""`airflow-datahub store`: the database behind ledger, rejects and revisions."""

from __future__ import annotations

import typer

application = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@application.callback()
def store() -> None:
    """The database behind ledger, rejects and revisions."""


@application.command()
def show() -> None:
    """Show where the store is, its schema and its size; nothing is changed."""
    from airflow_datahub.state.store import located
    from airflow_datahub.state.tables import SCHEMA_VERSION
    from airflow_datahub.state.upkeep import size

    found = size(located())
    print(f"where: {found.where}\nschema: {found.schema or 'none yet'} (this airflow-datahub: {SCHEMA_VERSION})")
    print(f"bytes: {found.bytes:,}")
    for table, rows in found.rows.items():
        print(f"{table}: {rows:,} row{'s' if rows != 1 else ''}")


@application.command()
def upgrade() -> None:
    """Bring the store to the schema of this airflow-datahub, or make it. Any number of machines may do so at once."""
    from airflow_datahub.state.store import located
    from airflow_datahub.state.tables import SCHEMA_VERSION, prepare, version

    database = located()
    before = version(database)
    prepare(database)
    how = "is at" if before == SCHEMA_VERSION else f"went from {before or 'nothing'} to"
    print(f"{database.name} {how} schema {SCHEMA_VERSION}")
