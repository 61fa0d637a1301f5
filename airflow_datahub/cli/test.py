"""`airflow-datahub test`: runs the `tests:` of specs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def test(paths: Annotated[list[Path], typer.Argument(help="Specs, or folders with specs.")]) -> None:
    """Run the tests that specs carry: no network, no sink, no Airflow."""
    from airflow_datahub.cli.specs import loaded
    from airflow_datahub.engine.trial import try_pipeline
    from airflow_datahub.errors import SpecError

    pipelines, problems = loaded(paths)
    passed = failed = 0
    for pipeline in pipelines:
        for verdict in try_pipeline(pipeline):
            passed, failed = passed + verdict.passed, failed + (not verdict.passed)
            print(f"{'ok    ' if verdict.passed else 'FAILED'} {pipeline.id}: {verdict.name}")
            print(*(f"  {line}" for each in verdict.complaints for line in each.splitlines()), sep="\n", end="")
            print("\n" if verdict.complaints else "", end="")
    print(f"{passed} passed, {failed} failed")
    if problems:
        raise SpecError(problems)
    if failed:
        raise typer.Exit(1)
