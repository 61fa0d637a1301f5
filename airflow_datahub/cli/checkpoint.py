"""`airflow-datahub checkpoint`: where a pipeline stands, and moving it by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from airflow_datahub.contract import Checkpoint, Kept
    from airflow_datahub.engine.by_hand import Standing

application = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Spec = Annotated[Path, typer.Argument(help="The spec.")]
OfPartition = Annotated[str | None, typer.Option("--partition", help="Only that of the partition of this key.")]


@application.callback()
def checkpoint() -> None:
    """Where a pipeline stands, as its sink remembers it."""


@application.command()
def show(
    path: Spec,
    partition: OfPartition = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON a stream.")] = False,
) -> None:
    """Show the checkpoints of all streams of a pipeline."""
    with _standing(path, partition) as standing:
        own = {each.stream for each in standing.each()}
        wanted = [kept for kept in standing.all() if partition is None or kept.stream in own]
        rows = [_row(standing, kept, kept.stream in own) for kept in wanted]
    for row in rows:
        print(json.dumps(row) if as_json else "\n".join(f"{name}: {_shown(value)}" for name, value in row.items()))
    if not rows and not as_json:
        print(f"no checkpoint: the next run begins at the start of the source ({standing.stream.stream})")


@application.command("set")
def set_(
    path: Spec,
    partition: OfPartition = None,
    cursor: Annotated[str | None, typer.Option(help="Where to go on, as JSON; null is the start.")] = None,
    skip: Annotated[
        int | None, typer.Option(help="Records of the page at the cursor that are dealt with.", min=0)
    ] = None,
    mark: Annotated[str | None, typer.Option(help="What the source keeps beside its cursor, as JSON.")] = None,
    from_stream: Annotated[
        str | None, typer.Option(help="Take over where this stream stands: that of a step before it was renamed.")
    ] = None,
) -> None:
    """Move the position, and accept source and table as the spec has them now; of all partitions, or of one. A run that
    is under way ends."""
    from airflow_datahub.engine.by_hand import Move

    given = {"cursor": _parsed("--cursor", cursor), "skip": skip, "mark": _parsed("--mark", mark)}
    move = Move(**given, from_stream=from_stream)
    with _standing(path, partition) as standing:
        if standing.pipeline.extract.partition and partition is None and move != Move():
            raise typer.BadParameter("a position is that of one partition: say --partition KEY")
        for each in _each(standing):
            _say("goes on at", each.go_on(move), each.partition)


@application.command()
def reset(path: Spec, partition: OfPartition = None) -> None:
    """Forget the position: the next run begins at the start of the source, or of all partitions, or of one. A run that
    is under way ends."""
    with _standing(path, partition) as standing:
        for each in _each(standing):
            _say("begins at", each.start_over(), each.partition)


def _each(standing: Standing) -> list[Standing]:
    found = standing.each()
    if not found:
        print("no checkpoint: the next run begins at the start of each partition")
    return found


@contextmanager
def _standing(path: Path, partition: str | None) -> Iterator[Standing]:
    from airflow_datahub.cli.actor import actor
    from airflow_datahub.cli.console import Console
    from airflow_datahub.cli.specs import one
    from airflow_datahub.contract import Run
    from airflow_datahub.engine.by_hand import standing
    from airflow_datahub.environment import connection
    from airflow_datahub.spec import load
    from airflow_datahub.state.store import Store

    pipeline = load(one(path))
    if partition is not None and pipeline.extract.partition is None:
        raise typer.BadParameter("--partition: no extract step of this spec has a `partition`")
    run = Run(pipeline=pipeline.id, run_id="by-hand", connections=connection, log=Console())
    with Store.open() as store, standing(pipeline, run, store, actor()) as opened:
        yield replace(opened, partition=partition)


def _parsed(option: str, text: str | None) -> Any:
    if text is None:
        return ...
    try:
        return json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"{option} {text!r} is not JSON ({error}); a text is written '\"so\"'") from error


def _row(standing: Standing, kept: Kept, own: bool) -> dict[str, Any]:
    row = {**asdict(kept.stream), "version": kept.version, "updated_at": kept.updated_at.isoformat()}
    row["belongs_to"] = "this spec" if own else "another spec, or steps that were renamed"
    found = kept.checkpoint
    if not found:
        return row | {"damage": kept.damage}
    row |= {name: getattr(found, name) for name in ("owner", "cursor", "skip", "mark", "target")}
    fingerprint = "changed" if standing.changed(kept) else "ok"
    finished = {"finished": True} if found.finished else {}
    return row | finished | {"fingerprint": fingerprint, "format": found.format, "counters": found.counters}


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _say(what: str, to: Checkpoint, partition: str | None) -> None:
    of = f" of {partition}" if partition is not None else ""
    cursor = "the start" if to.cursor is None else f"cursor {json.dumps(to.cursor)}"
    behind = f", {to.skip} records behind it" if to.skip else ""
    print(f"the next run{of} {what} {cursor}{behind} (version {to.version})")
