"""`airflow-datahub rejects`: records that were set aside, and what is to become of them."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from airflow_datahub.state import RejectRow, Which

application = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Ids = Annotated[list[int] | None, typer.Argument(help="Ids of rejects; none: all that the options choose.")]
Pipeline = Annotated[str | None, typer.Option(help="Only of this pipeline.")]
OfRun = Annotated[str | None, typer.Option("--run", help="Only of this run id.")]
OfStep = Annotated[str | None, typer.Option("--step", help="Only of this step.")]
OfOperator = Annotated[str | None, typer.Option("--operator", help="Only of this operator.")]
Reason = Annotated[str | None, typer.Option("--reason", help="Only where the reason has this text.")]
Since = Annotated[datetime | None, typer.Option("--since", help="Only those set aside since then (UTC).")]
State = Annotated[
    Literal["open", "replaying", "replayed", "discarded", "all"], typer.Option(help="Only in this state.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
AS_THEY_ARE = 200
"""Characters of a record that are shown in a list."""


@application.callback()
def rejects() -> None:
    """Records that were set aside, with their reasons: look, change, replay, discard."""


@application.command("list")
def list_(
    pipeline: Pipeline = None,
    run: OfRun = None,
    step: OfStep = None,
    operator: OfOperator = None,
    reason: Reason = None,
    since: Since = None,
    state: State = "open",
    limit: Annotated[int, typer.Option(help="At most so many, the newest first.", min=1)] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON a reject, with the whole record.")] = False,
) -> None:
    """List rejects, the newest first."""
    rows = _rows(pipeline, _which(None, run, step, operator, reason, since), state, limit)
    for row in rows:
        print(json.dumps(asdict(row), default=str) if as_json else _line(row))
    if not as_json:
        print(f"{len(rows)} reject{'s' if len(rows) != 1 else ''}")


@application.command()
def show(reject: Annotated[int, typer.Argument(help="Id of the reject.")]) -> None:
    """Show one reject with its whole record, masked as its spec asks."""
    rows = _rows(None, _which([reject]), "all", 1)
    if not rows:
        raise typer.BadParameter(f"there is no reject {reject}")
    for name, value in asdict(rows[0]).items():
        if value not in (None, (), False):
            print(f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)}")


@application.command()
def export(
    ids: Ids = None,
    pipeline: Pipeline = None,
    run: OfRun = None,
    step: OfStep = None,
    operator: OfOperator = None,
    reason: Reason = None,
    since: Since = None,
    state: State = "open",
    output: Annotated[Path | None, typer.Option(help="The file; none: standard output.")] = None,
) -> None:
    """Write rejects as JSON lines, the newest first, masked as their specs ask."""
    from airflow_datahub.state.hiding import hidden
    from airflow_datahub.state.store import Store

    which, before, count = _which(ids, run, step, operator, reason, since), None, 0
    out = output.open("w", encoding="utf-8") if output else sys.stdout
    with Store.open() as store:
        while rows := store.rejects(pipeline, which, None if state == "all" else state, 500, before=before):
            before, count = rows[-1].id, count + len(rows)
            out.writelines(json.dumps(asdict(hidden(row)), default=str) + "\n" for row in rows)
    if output:
        out.close()
        print(f"{count} reject{'s' if count != 1 else ''} written to {output}")


@application.command()
def edit(
    reject: Annotated[int, typer.Argument(help="Id of the reject.")],
    record: Annotated[
        str | None, typer.Option(help="The whole record, as JSON; - reads standard input; without: $EDITOR.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="One field of it, as path=value; the value is JSON or a text.")
    ] = None,
) -> None:
    """Change the record of an open reject before its replay. What it was is kept, and an audit says who."""
    from airflow_datahub.cli.actor import actor
    from airflow_datahub.state import Which
    from airflow_datahub.state.store import Store

    if record is not None and set_:
        raise typer.BadParameter("say --record JSON, or --set path=value, or neither for your editor")
    with Store.open() as store:
        rows = store.rejects(None, Which(ids=frozenset([reject])))
        if not rows:
            raise typer.BadParameter(f"reject {reject} is not there, or not open any more")
        if set_:
            changed = _changed(rows[0], set_)
        else:
            changed = _whole(record) if record is not None else _in_editor(rows[0])
        store.replays.edit(reject, changed, actor())
    print(f"reject {reject} is changed; `airflow-datahub rejects replay SPEC {reject}` takes it through")


@application.command()
def replay(
    path: Annotated[Path, typer.Argument(help="The spec.")],
    ids: Ids = None,
    run: OfRun = None,
    step: OfStep = None,
    operator: OfOperator = None,
    reason: Reason = None,
    since: Since = None,
    revision: Annotated[
        Literal["current", "original"],
        typer.Option(help="With the spec as it is, or as it was then."),
    ] = "current",
    resume: Annotated[str | None, typer.Option(help="Go on with a replay that ended before it was through.")] = None,
    in_airflow: Annotated[bool, typer.Option("--in-airflow", help="As a run of the pipeline's DAG.")] = False,
    yes: Yes = False,
) -> None:
    """Take open rejects through the pipeline once more, each from the step that refused it."""
    from airflow_datahub.cli import replaying
    from airflow_datahub.cli.specs import one
    from airflow_datahub.spec import load

    pipeline, which = load(one(path)), _which(ids, run, step, operator, reason, since)
    if resume is None and ids is None and not yes:
        _ask(pipeline.id, which, "replay")
    if in_airflow:
        replaying.in_airflow(pipeline, which, revision)
    else:
        replaying.here(pipeline, which, revision, resume, yes)


@application.command()
def discard(
    ids: Ids = None,
    pipeline: Pipeline = None,
    run: OfRun = None,
    step: OfStep = None,
    operator: OfOperator = None,
    reason: Reason = None,
    since: Since = None,
    yes: Yes = False,
) -> None:
    """Give open rejects up: they are not replayed any more. An audit says who did."""
    from airflow_datahub.cli.actor import actor
    from airflow_datahub.state.store import Store

    which = _which(ids, run, step, operator, reason, since)
    if ids is None and pipeline is None:
        raise typer.BadParameter("say which: ids, or --pipeline with what else chooses them")
    if ids is None and not yes:
        _ask(pipeline or "", which, "discard")
    with Store.open() as store:
        pipelines = [pipeline] if pipeline else sorted({row.pipeline for row in store.rejects(None, which)})
        count = sum(store.replays.discard(each, which, actor()) for each in pipelines)
    print(f"{count} reject{'s' if count != 1 else ''} discarded")


def _which(
    ids: list[int] | None,
    run: str | None = None,
    step: str | None = None,
    operator: str | None = None,
    reason: str | None = None,
    since: datetime | None = None,
) -> Which:
    from airflow_datahub.state import Which

    since = since.replace(tzinfo=UTC) if since and since.tzinfo is None else since
    chosen = frozenset(ids) if ids else None
    return Which(ids=chosen, run_id=run, step=step, operator=operator, reason=reason, since=since)


def _rows(pipeline: str | None, which: Which, state: str, limit: int) -> list[RejectRow]:
    from airflow_datahub.state.hiding import hidden
    from airflow_datahub.state.store import Store

    wanted: Any = None if state == "all" else state
    with Store.open() as store:
        return [hidden(row) for row in store.rejects(pipeline, which, wanted, limit)]


def _line(row: RejectRow) -> str:
    where = "/".join(filter(None, (row.pipeline, row.step, row.operator, row.field)))
    notes = "".join([", edited" if row.edited else "", f", was {row.earlier}" if row.earlier else ""])
    return (
        f"{row.id} {row.created_at:%Y-%m-%d %H:%M:%S} {row.state}{notes} {where}: {row.reason}\n"
        f"    {_shortened(row.record)}"
    )


def _shortened(record: object) -> str:
    text = json.dumps(record, ensure_ascii=False, default=str)
    return text if len(text) <= AS_THEY_ARE else text[:AS_THEY_ARE] + "…"


def _ask(pipeline: str, which: Which, verb: str) -> None:
    from airflow_datahub.state.store import Store

    with Store.open() as store:
        count = store.replays.count(pipeline, which)
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"{count} rejects would be {verb}ed: say --yes")
    typer.confirm(f"{verb} {count} reject{'s' if count != 1 else ''} of {pipeline}?", abort=True)


def _whole(text: str) -> Any:
    return _json(sys.stdin.read() if text == "-" else text, "--record")


def _in_editor(row: RejectRow) -> Any:
    """The record as a person leaves it, who sees what may be shown of it."""
    from airflow_datahub.cli.editing import edited
    from airflow_datahub.state.hiding import filled, hidden

    if not isinstance(row.record, dict):
        raise typer.BadParameter(f"reject {row.id} is no JSON object: give the whole record by --record")
    shown = json.dumps(hidden(row).record, ensure_ascii=False, indent=2, default=str)
    return filled(_json(edited(shown), "what was saved"), row)


def _json(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"{what} is no JSON: {error}") from None


def _changed(row: RejectRow, changes: list[str]) -> dict[str, Any]:
    from airflow_datahub.errors import RejectRecord
    from airflow_datahub.paths import setter

    if not isinstance(row.record, dict):
        raise typer.BadParameter(f"reject {row.id} is no JSON object: give the whole record by --record")
    record = dict(row.record)
    for change in changes:
        path, equals, text = change.partition("=")
        if not equals:
            raise typer.BadParameter(f"--set {change!r}: write path=value")
        try:
            setter(path)(record, _value(text))
        except (RejectRecord, ValueError) as error:
            raise typer.BadParameter(f"--set {change!r}: {error}") from None
    return record


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
