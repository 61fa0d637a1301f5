"""`airflow-datahub list`: the adapters that a spec may name here, or the pipelines of a folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airflow_datahub.adapters import KINDS, Kind

if TYPE_CHECKING:
    from airflow_datahub.spec import Pipeline
    from airflow_datahub.spec.describing import Entry

PIPELINES = "pipelines"
WHAT = ("all", *KINDS, PIPELINES)


def list_(
    what: Annotated[str, typer.Argument(help=f"One of {', '.join(WHAT)}.")] = "all",
    paths: Annotated[list[Path] | None, typer.Argument(help="For pipelines: specs, or folders with specs.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON an adapter or pipeline.")] = False,
) -> None:
    """List what a spec may name here (`list`, `list sinks`), or pipelines (`list pipelines DIR`)."""
    if what not in WHAT:
        raise typer.BadParameter(f"{what!r} cannot be listed: there are {', '.join(WHAT)}")
    if what == PIPELINES:
        _pipelines(paths or [Path()], as_json)
    elif paths:
        raise typer.BadParameter(f"{paths[0]}: only `list pipelines` takes files and folders")
    else:
        _adapters([kind for kind in KINDS if what in ("all", kind)], as_json)


def _adapters(kinds: Sequence[Kind], as_json: bool) -> None:
    from airflow_datahub.spec.describing import entries

    for kind in kinds:
        found = entries(kind)
        if as_json:
            print(*(json.dumps(asdict(entry)) for entry in found), sep="\n")
        else:
            width = max((len(entry.name) for entry in found), default=0)
            print(f"{kind}:", *(_line(entry, width) for entry in found), sep="\n")


def _line(entry: Entry, width: int) -> str:
    ours = entry.module.startswith("airflow_datahub.")
    return f"  {entry.name:{width}}  {entry.text}" + ("" if ours else f" (from {entry.module})")


def _pipelines(paths: Sequence[Path], as_json: bool) -> None:
    """Those that are right; then the problems of the others, as `lint` tells them."""
    from airflow_datahub.cli.specs import loaded
    from airflow_datahub.errors import SpecError

    pipelines, problems = loaded(paths)
    for pipeline in pipelines:
        row = _row(pipeline)
        flow = f"{row['source']} → {row['sink']}"
        line = f"{row['id']}  {flow}  {row['schedule'] or 'by hand'}  {row['file']}"
        print(json.dumps(row) if as_json else line)
    if problems:
        raise SpecError(problems)


def _row(pipeline: Pipeline) -> dict[str, Any]:
    return {
        "id": pipeline.id,
        "description": pipeline.description,
        "source": _named(pipeline, "extract"),
        "sink": _named(pipeline, "load"),
        "steps": [step.key for step in pipeline.steps],
        "schedule": _schedule(pipeline),
        "file": str(pipeline.file),
        "revision": pipeline.revision,
    }


def _named(pipeline: Pipeline, kind: str) -> str:
    """What the steps of a type are; a name once."""
    named = [str(getattr(step, "adapter", "")) for step in pipeline.steps if step.type == kind]
    return ", ".join(dict.fromkeys(named))


def _schedule(pipeline: Pipeline) -> str | None:
    from airflow_datahub.quantities import shortest
    from airflow_datahub.spec import Every

    schedule = pipeline.schedule
    if isinstance(schedule, Every):
        return f"every {shortest(schedule.every)}"
    return "; ".join(schedule) if isinstance(schedule, tuple) else schedule
