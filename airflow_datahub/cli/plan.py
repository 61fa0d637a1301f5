"""`airflow-datahub plan`: what a spec becomes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def plan(
    path: Annotated[Path, typer.Argument(help="The spec.")],
    as_json: Annotated[bool, typer.Option("--json", help="The plan as JSON.")] = False,
) -> None:
    """Show the stages of a pipeline: each is one Airflow task."""
    from airflow_datahub.cli.specs import one
    from airflow_datahub.spec import load
    from airflow_datahub.spec import plan as planned

    result = planned(load(one(path))).as_dict()
    if as_json:
        print(json.dumps(result, indent=2))
        return
    for stage in result["stages"]:
        print(f"stage {stage.pop('key')}: {' → '.join(stage.pop('steps'))}")
        notes = stage.pop("notes")
        for name, value in stage.items():
            if value:
                print(f"  {name}: {value}")
        print(*(f"  note: {note}" for note in notes), sep="\n")
