"""`airflow-datahub lint`: everything that is wrong with specs, each at its line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def lint(paths: Annotated[list[Path], typer.Argument(help="Specs, or folders with specs.")]) -> None:
    """Check specs: every mistake at once as `file:line:col: …`."""
    from airflow_datahub.cli.specs import loaded

    pipelines, problems = loaded(paths)
    for problem in problems:
        print(problem)
    if problems:
        raise typer.Exit(2)
    print(f"{len(pipelines)} spec{'s' if len(pipelines) != 1 else ''}, no problems")
