"""`airflow-datahub plan`: what a spec becomes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from airflow_datahub.spec.models import Pipeline


def plan(
    path: Annotated[Path, typer.Argument(help="The spec.")],
    as_json: Annotated[bool, typer.Option("--json", help="The plan as JSON.")] = False,
) -> None:
    """Show the stages of a pipeline: each is one Airflow task."""
    from airflow_datahub.cli.specs import one
    from airflow_datahub.spec import load
    from airflow_datahub.spec import plan as planned

    pipeline = load(one(path))
    result = planned(pipeline).as_dict()
    result["stages"][0]["notes"] += [*_notes_on_partitions(pipeline), *_notes_on_connections(pipeline)]
    if as_json:
        print(json.dumps(result, indent=2))
        return
    for stage in result["stages"]:
        print(f"stage {stage.pop('key')}: {' → '.join(stage.pop('steps'))}".rstrip(": "))
        notes = stage.pop("notes")
        for name, value in stage.items():
            if value:
                print(f"  {name}: {value}")
        for note in notes:
            print(f"  note: {note}")


def _notes_on_partitions(pipeline: Pipeline) -> list[str]:
    """How many there would be now, unless the source itself would have to be asked."""
    step = pipeline.extract
    if step.partition is None or step.partition.by == "source":
        return []
    parts = step.partition.cut(datetime.now(UTC), pipeline.timezone)
    ends = "" if not parts else f": {parts[0].key}" + (f" … {parts[-1].key}" if len(parts) > 1 else "")
    return [f"{step.key}: {len(parts):,} partition{'s' if len(parts) != 1 else ''}{ends}"]


def _notes_on_connections(pipeline: Pipeline) -> list[str]:
    """What the connections say, as far as they are known here; what is wrong with one is for `run` to say."""
    from airflow_datahub.environment import connection
    from airflow_datahub.errors import ConfigurationError
    from airflow_datahub.spec import ExtractStep

    try:
        sources = [(step.key, step.source) for step in pipeline.steps if isinstance(step, ExtractStep)]
        return [f"{key}: {note}" for key, source in sources for note in source.notes_on(connection)]
    except ConfigurationError:
        return []
