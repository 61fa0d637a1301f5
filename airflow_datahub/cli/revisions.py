"""`airflow-datahub revisions`: the specs that ran, drafts, and publishing one."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from airflow_datahub.engine.revising import Desk

application = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Spec = Annotated[Path, typer.Argument(help="The spec; its file need not be there any more.")]
Revision = Annotated[str, typer.Argument(help="A revision's hash, or the beginning of it.")]
Force = Annotated[bool, typer.Option("--force", help="Also where the file's text has changed or cannot be kept.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


@application.callback()
def revisions() -> None:
    """The specs that ran, drafts, and publishing one."""


@application.command("list")
def list_(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Specs, or folders with specs; without any: all pipelines of the store.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON a revision.")] = False,
) -> None:
    """List revisions and drafts, the newest first; `*` is what the spec's file has."""
    from airflow_datahub.cli.specs import found
    from airflow_datahub.engine.revising import Desk, described
    from airflow_datahub.state.store import Store

    with Store.open() as store:
        desks = {(desk := Desk(path, store)).id: desk for path in found(paths or [])}
        pipelines = list(desks) if paths else store.revisions.pipelines()
        rows = {pipeline: described(desks.get(pipeline), pipeline, store) for pipeline in pipelines}
    for pipeline, of_pipeline in rows.items():
        if as_json:
            print(*map(json.dumps, of_pipeline), sep="\n", end="\n" if of_pipeline else "")
        else:
            print(f"{pipeline}:", *(map(_line, of_pipeline) if of_pipeline else ["  none yet"]), sep="\n")


def _line(row: dict[str, Any]) -> str:
    mark = "*" if row["in_file"] else " "
    return f"{mark} {_short(row['revision'])}  {row['first_seen'][:19].replace('T', ' ')}  {'; '.join(_facts(row))}"


def _facts(row: dict[str, Any]) -> Iterator[str]:
    if row["author"]:
        yield f"{'draft' if row['state'] == 'draft' else 'published'} by {row['author']}"
    if row["runs"]:
        yield f"{row['runs']:,} run{'s' if row['runs'] != 1 else ''}, first {row['first_run']}"
    elif row["state"] == "deployed":
        yield "no run"
    if row["note"]:
        yield row["note"]


@application.command()
def show(
    path: Spec,
    revision: Annotated[str | None, typer.Argument(help="A revision's hash; by default the newest one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print the text of a revision or draft as it is."""
    with _desk(path) as desk:
        row = desk.named(revision) if revision is not None else desk.newest("deployed")
    sys.stdout.write(json.dumps(asdict(row), default=str) + "\n" if as_json else row.text)


@application.command()
def diff(
    path: Spec,
    old: Annotated[str | None, typer.Argument(help="A revision's hash, or `file`; by default the newest one.")] = None,
    new: Annotated[str, typer.Argument(help="Another one; by default what the file has.")] = "file",
    as_json: AsJson = False,
) -> None:
    """Show what differs between two texts, by default the newest revision and the file."""
    with _desk(path) as desk:
        text = desk.difference(old, new)
    if as_json:
        print(json.dumps({"pipeline": desk.id, "diff": text}))
    else:
        sys.stdout.write(text or "no difference\n")


@application.command()
def draft(
    path: Spec,
    text: Annotated[
        Path | None, typer.Argument(help="The file with the edited text; - is standard input.", allow_dash=True)
    ] = None,
    note: Annotated[str, typer.Option(help="What it is for.")] = "",
    forget: Annotated[str | None, typer.Option(help="Take away the draft of this hash instead.")] = None,
    as_json: AsJson = False,
) -> None:
    """Keep an edited text in the store, for others to look at, without deploying it."""
    if (text is None) == (forget is None):
        raise typer.BadParameter("name the file with the edited text, or --forget a draft")
    with _desk(path) as desk:
        row = desk.draft(_read(text), str(text), note) if text else desk.forget(forget or "")
    if as_json:
        print(json.dumps(asdict(row), default=str))
    elif forget:
        print(f"draft {_short(row.revision)} is gone")
    else:
        command, short = "airflow-datahub revisions", _short(row.revision)
        print(f"draft {short}\nlook at it: {command} diff {path} file {short}")
        print(f"deploy it: {command} publish {path} {short}")


@application.command()
def publish(
    path: Spec,
    revision: Annotated[str | None, typer.Argument(help="Its hash; by default the newest draft.")] = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Put a draft, or a revision, into the spec's file: whole or not at all, and only if it has no mistake."""
    with _desk(path) as desk:
        row = desk.named(revision) if revision is not None else desk.newest("draft")
        changes = desk.publish(row, force=force)
    _say(path, row.revision, changes, as_json)


@application.command()
def revert(path: Spec, revision: Revision, force: Force = False, as_json: AsJson = False) -> None:
    """Put an older revision back into the spec's file."""
    with _desk(path) as desk:
        row = desk.named(revision, "deployed")
        changes = desk.publish(row, "revert", force=force)
    _say(path, row.revision, changes, as_json)


def _say(path: Path, revision: str, changes: bool, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"file": str(path), "revision": revision, "written": changes}))
    elif changes:
        print(f"{path} has revision {_short(revision)} now; commit it where your DAGs come from Git")
    else:
        print(f"{path} has that text already")


def _short(revision: str) -> str:
    from airflow_datahub.engine.pinning import SHORT

    return revision[:SHORT]


def _read(path: Path) -> str:
    try:
        content = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        return content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{path} cannot be read: {error}") from error


@contextmanager
def _desk(path: Path) -> Iterator[Desk]:
    from airflow_datahub.cli.actor import actor
    from airflow_datahub.engine.revising import Desk
    from airflow_datahub.state.store import Store

    if path.is_dir() or path.suffix not in (".yaml", ".yml"):
        raise typer.BadParameter(f"{path}: name the spec's file, as in pipelines/orders.yaml")
    with Store.open() as store:
        yield Desk(path, store, actor())
