"""Finding the specs that a command names, and loading one or many of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import typer

from airflow_datahub.errors import Problem, SpecError
from airflow_datahub.spec import Pipeline, load


def found(paths: Sequence[Path]) -> Iterator[Path]:
    """The spec files among files and folders; a path that is not there, or a folder without specs, is a wrong call."""
    for path in paths:
        if path.is_dir():
            specs = sorted(p for p in path.rglob("*") if p.suffix in (".yaml", ".yml") and p.is_file())
            if not specs:
                raise typer.BadParameter(f"no *.yaml below {path}")
            yield from specs
        elif path.is_file():
            yield path
        else:
            raise typer.BadParameter(f"{path} does not exist")


def one(path: Path) -> Path:
    """The spec that a command for one spec is called with; a folder with several is a wrong call."""
    specs = list(found([path]))
    if len(specs) > 1:
        raise typer.BadParameter(f"name one spec of {path}: {', '.join(spec.name for spec in specs)}")
    return specs[0]


def loaded(paths: Sequence[Path]) -> tuple[list[Pipeline], list[Problem]]:
    """All specs that are right, and the problems of those that are not."""
    pipelines: list[Pipeline] = []
    problems: list[Problem] = []
    for path in found(paths):
        try:
            pipelines.append(load(path))
        except SpecError as error:
            problems += error.problems
    return pipelines, problems
