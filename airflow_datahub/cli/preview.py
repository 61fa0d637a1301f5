"""`airflow-datahub preview`: a few real records on their way through a pipeline; nothing is written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from airflow_datahub.contract import Simulated, Written
    from airflow_datahub.engine.preview import Preview, Seen
    from airflow_datahub.spec import Pipeline

LONGEST = 300
"""Characters of a record that are shown; `--json` shows all."""


def preview(
    path: Annotated[Path, typer.Argument(help="The spec.")],
    limit: Annotated[int, typer.Option(help="Records to look at.", min=1, max=1000)] = 5,
    step: Annotated[str | None, typer.Option(help="Go no further than this step, and show it alone.")] = None,
    param: Annotated[list[str] | None, typer.Option("--param", help="A param of the spec, as name=value.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON a step, records whole.")] = False,
) -> None:
    """Show what each step makes of the source's first records, and what the sink would do. Nothing is written."""
    from airflow_datahub.cli.specs import one
    from airflow_datahub.spec import load

    pipeline = load(one(path))
    if step and step not in (keys := [each.key for each in pipeline.steps]):
        raise typer.BadParameter(f"there is no step {step!r}: there are {', '.join(keys)}")
    found = _looked(pipeline, param or [], limit, step)
    rows = [row for row in _rows(pipeline, found) if step in (None, row["step"])]
    for row in rows:
        print(json.dumps(row, ensure_ascii=False, default=str) if as_json else "\n".join(_told(row)))
    if found.problem:
        raise found.problem
    if any(row.get("stopped") for row in rows):
        raise typer.Exit(1)


def _looked(pipeline: Pipeline, param: list[str], limit: int, step: str | None) -> Preview:
    from airflow_datahub.cli.console import Console
    from airflow_datahub.cli.run import params_of, stop_on_signals
    from airflow_datahub.contract import Run
    from airflow_datahub.engine import in_time
    from airflow_datahub.engine.preview import preview as look
    from airflow_datahub.environment import connection, redis_connection

    params, log = params_of(pipeline, param), Console()
    with stop_on_signals() as stopping:
        run = Run(
            pipeline=pipeline.id, run_id="preview", started=datetime.now(UTC), params=params, connections=connection,
            redis=redis_connection(), log=log, stopping=stopping,
        )  # fmt: skip
        return in_time(lambda: look(pipeline, run, limit=limit, until=step), stopping, log)


def _rows(pipeline: Pipeline, found: Preview) -> Iterator[dict[str, Any]]:
    kinds = {step.key: step.type for step in pipeline.steps}
    for index, seen in enumerate(found.steps):
        row = {"step": seen.step, "type": kinds[seen.step], "in": seen.entered, "out": len(seen.records)}
        yield row | ({"more": found.more} if index == 0 else {}) | _of_step(seen)
    if found.entered_load is not None:
        load = {"step": pipeline.load.key, "type": "load", "in": found.entered_load}
        yield load | _of_load(found.simulated, str(found.problem) if found.problem else None)


def _of_step(seen: Seen) -> dict[str, Any]:
    from airflow_datahub.engine.projection import decoded
    from airflow_datahub.state.sealing import encoded

    records = [{"position": position, "record": decoded(record)} for position, record in seen.records]
    rejects = [asdict(reject) | {"record": json.loads(encoded(reject.record))} for reject in seen.rejects]
    return {"filtered": seen.filtered, "stopped": seen.stopped, "records": records, "rejects": rejects}


def _of_load(simulated: Simulated | None, problem: str | None) -> dict[str, Any]:
    if simulated is None:
        return {"would": None, "refused": [], "notes": [problem or "this sink cannot tell what it would do"]}
    written = simulated.written
    refused = [asdict(each) for each in written.refused] if written else []
    return {"would": written and _counts(written), "refused": refused, "notes": list(simulated.notes)}


def _counts(written: Written) -> dict[str, int]:
    counts = {name: value for name, value in asdict(written).items() if name != "refused"}
    return counts | {"refused": len(written.refused)}


def _told(row: dict[str, Any]) -> Iterator[str]:
    yield from _told_of_load(row) if row["type"] == "load" else _told_of_step(row)


def _told_of_step(row: dict[str, Any]) -> Iterator[str]:
    counts = {"in": row["in"], "out": row["out"], "rejected": len(row["rejects"]), "filtered": row["filtered"]}
    told = ", ".join(f"{count} {what}" for what, count in counts.items() if count or what in ("in", "out"))
    yield f"{row['step']} ({row['type']}): {told}{', and there are more behind them' if row.get('more') else ''}"
    yield from (f"  {each['position'] + 1}: {_shown(each['record'])}" for each in row["records"])
    for each in row["rejects"]:
        where = ", ".join(filter(None, (each["operator"], each["field"])))
        yield f"  {each['position'] + 1}: rejected{f' by {where}' if where else ''}: {each['reason']}"
        yield f"     {_shown(each['record'])}"
    if row["stopped"]:
        yield f"  a run would stop here: {row['stopped']}"


def _told_of_load(row: dict[str, Any]) -> Iterator[str]:
    yield f"{row['step']} (load): {row['in']} in{_would(row['would'])}"
    for each in row["refused"]:
        field = f"{each['field']}: " if each["field"] else ""
        yield f"  refused, the {each['index'] + 1}. of those: {field}{each['reason']}"
    yield from (f"  note: {note}" for note in row["notes"])


def _would(counts: dict[str, int] | None) -> str:
    if counts is None:
        return ""
    said = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    return f", would be {said}" if said else ""


def _shown(record: Any) -> str:
    text = json.dumps(record, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"
