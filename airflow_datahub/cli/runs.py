"""`airflow-datahub runs`: the ledger of all runs, those of Airflow's tasks and those of the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer

if TYPE_CHECKING:
    from airflow_datahub.state import RejectRow, RunRow, RunState
    from airflow_datahub.state.logs import Level
    from airflow_datahub.state.store import Store

application = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

LONGEST = 200
"""Characters of a record that are shown."""

RunId = Annotated[str | None, typer.Argument(metavar="[RUN]", help="Id of the run; without it the newest.")]
OfPipeline = Annotated[str | None, typer.Option("--pipeline", help="Only of this pipeline.")]


@application.callback()
def runs() -> None:
    """The ledger: what ran, and what became of the records."""


@application.command("list")
def list_(
    pipeline: OfPipeline = None,
    state: Annotated[
        str | None, typer.Option(help="Only these: running, success, failed, interrupted or skipped.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Only those that began since: 24h, 7d, or a time such as 2026-01-31T12:00Z.")
    ] = None,
    limit: Annotated[int, typer.Option(help="At most so many, the newest first.", min=1)] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON a run, with its steps.")] = False,
) -> None:
    """List runs, the newest first."""
    from airflow_datahub.state.store import Store

    wanted, moment = _state(state), _moment(since)
    with Store.open() as store:
        rows = [_row(store, run) for run in store.runs(pipeline, limit, state=wanted, since=moment)]
    for row in rows:
        print(json.dumps(row) if as_json else _line(row))
    if not as_json:
        print(f"{len(rows)} run{'s' if len(rows) != 1 else ''}")


@application.command()
def show(
    run: RunId = None,
    pipeline: OfPipeline = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
) -> None:
    """Show a run: its steps with what they counted, and its rejects grouped by reason."""
    from airflow_datahub.state.store import Store

    with Store.open() as store:
        found = _one(store, run, pipeline)
        row = _row(store, found)
        row["rejects"] = _grouped(store, found)
        row["partitions"] = _partitions(store, found)
    print(json.dumps(row, default=str) if as_json else "\n".join(_page(row)))


@application.command()
def logs(
    run: RunId = None,
    pipeline: OfPipeline = None,
    level: Annotated[str, typer.Option(help="This level and above: info, warning or error.")] = "info",
    limit: Annotated[int, typer.Option(help="At most so many lines, the last ones.", min=1)] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON an event.")] = False,
) -> None:
    """Show what a run said, of all its tries; kept for thirty days."""
    from airflow_datahub.cli.console import line
    from airflow_datahub.state.store import Store

    wanted = _levels(level)
    with Store.open() as store:
        found = _one(store, run, pipeline)
        lines = store.logs.of(found.pipeline, found.run_id, wanted, limit)
    for each in lines:
        told = f"{each.at:%Y-%m-%d %H:%M:%S} {line(each.level, each.event, each.fields)}"
        print(json.dumps(asdict(each) | {"at": each.at.isoformat()}) if as_json else told)


def _levels(least: str) -> Sequence[Level]:
    from airflow_datahub.state.logs import Level

    levels = get_args(Level)
    if least not in levels:
        raise typer.BadParameter(f"--level {least!r}: there are {', '.join(levels)}")
    return cast("Sequence[Level]", levels[levels.index(least) :])


def _one(store: Store, run_id: str | None, pipeline: str | None) -> RunRow:
    """The run that a call names; a run id of Airflow's may be that of several pipelines."""
    found = store.runs(pipeline, 2 if run_id else 1, run_id=run_id)
    of_pipeline = f" of pipeline {pipeline!r}" if pipeline else ""
    if not found:
        raise typer.BadParameter(
            f"there is no run {run_id!r}{of_pipeline}" if run_id else f"there is no run{of_pipeline}"
        )
    if len(found) > 1:
        names = ", ".join(sorted(run.pipeline for run in store.runs(run_id=run_id)))
        raise typer.BadParameter(f"several pipelines have a run {run_id!r}: give --pipeline, one of {names}")
    return found[0]


def _state(text: str | None) -> RunState | None:
    from airflow_datahub.state import RunState

    if text not in (None, *get_args(RunState)):
        raise typer.BadParameter(f"--state {text!r}: there are {', '.join(get_args(RunState))}")
    return cast("RunState | None", text)


def _moment(text: str | None) -> datetime | None:
    """A duration before now, or a time, in UTC where it names no zone."""
    from pydantic_core import PydanticCustomError

    from airflow_datahub.quantities import duration

    if text is None:
        return None
    try:
        return datetime.now(UTC) - duration(text)
    except PydanticCustomError:
        pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"--since {text!r}: write 24h, 7d, or a time such as 2026-01-31T12:00Z") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _row(store: Store, run: RunRow) -> dict[str, Any]:
    steps = {key: asdict(counters) for key, counters in store.steps(run.pipeline, run.run_id).items()}
    end = run.ended_at or datetime.now(UTC)
    row = asdict(run) | {"seconds": round((end - run.started_at).total_seconds(), 3), "steps": steps}
    return row | {name: row[name] and row[name].isoformat() for name in ("started_at", "ended_at")}


def _line(row: Mapping[str, Any]) -> str:
    steps = list(row["steps"].values())
    read = steps[0]["records_in"] if steps else 0
    written = sum(steps[-1][name] for name in ("inserted", "updated", "deleted")) if steps else 0
    rejected = sum(step["rejected"] for step in steps)
    tries = f", {row['tries']} tries" if row["tries"] > 1 else ""
    counts = f"{read:,} read, {written:,} written, {rejected:,} rejected in {row['seconds']:.1f} s{tries}"
    return f"{_when(row['started_at'])} {row['pipeline']} {row['run_id']} {row['state']}: {counts}"


def _when(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S}"


def _page(row: Mapping[str, Any]) -> Iterator[str]:
    from airflow_datahub.state.table import table

    for name in ("pipeline", "run_id", "state", "trigger", "tries", "revision", "started_at", "ended_at"):
        yield f"{name}: {row[name] if row[name] is not None else '-'}"
    yield f"seconds: {row['seconds']}"
    if row["error"]:
        yield f"error: {row['error']}"
    yield from ("", *table(row["steps"]))
    if row["partitions"]:
        yield from ("", *table(row["partitions"], "partition"))
    for group in row["rejects"]:
        where = "/".join(filter(None, (group["step"], group["operator"], group["field"])))
        yield f"\n{group['count']:,} rejected by {where}: {group['reason']}\n  first: {group['first']}"


def _partitions(store: Store, run: RunRow) -> dict[str, dict[str, Any]]:
    """By key: what its source gave, what its sink wrote, and what was rejected between."""
    wanted = ("inserted", "updated", "unchanged", "deleted")
    found = {}
    for key, steps in store.partitions(run.pipeline, run.run_id).items():
        first, *_, last = map(asdict, steps.values())
        rejected = sum(counters.rejected for counters in steps.values())
        found[key] = {"read": first["records_in"]} | {name: last[name] for name in wanted} | {"rejected": rejected}
    return found


def _grouped(store: Store, run: RunRow) -> list[dict[str, Any]]:
    """By step, operator, field and reason as it may be shown, the most frequent first, each with its first."""
    from airflow_datahub.state import Which
    from airflow_datahub.state.hiding import hidden

    groups = store.reject_groups(run.pipeline, run.run_id)
    ids = [group.example for group in groups]
    first = {row.id: hidden(row) for row in store.rejects(run.pipeline, Which(ids=frozenset(ids)), limit=len(ids))}
    alike: dict[tuple[Any, ...], dict[str, Any]] = {}
    for group in sorted(groups, key=lambda group: group.example):
        example = first.get(group.example)  # it may have been discarded since
        if example is not None:
            key = (group.step, group.operator, group.field, example.reason)
            alike.setdefault(key, _group(example))["count"] += group.count
    return sorted(alike.values(), key=lambda found: -found["count"])


def _group(first: RejectRow) -> dict[str, Any]:
    text = first.unreadable or json.dumps(first.record, ensure_ascii=False, default=str)
    shown = text if len(text) <= LONGEST else text[:LONGEST] + "…"
    named = {name: getattr(first, name) for name in ("step", "operator", "field", "reason")}
    return named | {"count": 0, "first": shown}
