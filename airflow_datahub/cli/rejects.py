"""`airflow-datahub rejects`: records that were set aside."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

application = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@application.callback()
def rejects() -> None:
    """Records that were set aside, with their reasons."""


@application.command("list")
def list_(
    pipeline: Annotated[str | None, typer.Option(help="Only of this pipeline.")] = None,
    run: Annotated[str | None, typer.Option(help="Only of this run id.")] = None,
    step: Annotated[str | None, typer.Option(help="Only of this step.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many, the newest first.", min=1)] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON a reject, with the whole record.")] = False,
) -> None:
    """List rejects, the newest first."""
    from airflow_datahub.state.hiding import hidden
    from airflow_datahub.state.store import Store

    with Store.open() as store:
        rows = [hidden(row) for row in store.rejects(pipeline=pipeline, run_id=run, step=step, limit=limit)]
    for row in rows:
        if as_json:
            print(json.dumps(asdict(row), default=str))
        else:
            where = "/".join(filter(None, (row.pipeline, row.step, row.operator, row.field)))
            print(f"{row.created_at:%Y-%m-%d %H:%M:%S} {where}: {row.reason}\n    {_shortened(row.record)}")
    if not as_json:
        print(f"{len(rows)} reject{'s' if len(rows) != 1 else ''}")


def _shortened(record: object) -> str:
    text = json.dumps(record, ensure_ascii=False, default=str)
    return text if len(text) <= 200 else text[:200] + "…"
