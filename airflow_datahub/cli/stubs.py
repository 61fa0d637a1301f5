"""`airflow-datahub stubs`: one DAG file beside each spec."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def stubs(
    directory: Annotated[Path, typer.Argument(help="The folder with the specs.", exists=True, file_okay=False)],
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 if a stub is missing or old.")] = False,
) -> None:
    """Write the stub of each spec, through which Airflow finds it; the same bytes on every machine."""
    from airflow_datahub.spec import write_stubs

    changed = write_stubs(directory, check=check)
    for path in changed:
        print(f"{'missing or old' if check else 'written'}: {path}")
    if check and changed:
        raise typer.Exit(1)
    if not changed:
        print("all stubs are up to date")
