"""All commands in one typer application, and what an error means for the exit code."""

from __future__ import annotations

import os
import sys
from typing import Annotated, NoReturn

import typer

from airflow_datahub import __version__
from airflow_datahub.cli import (
    checkpoint,
    config,
    describe,
    lint,
    listing,
    new,
    plan,
    preview,
    probe,
    rejects,
    revisions,
    run,
    runs,
    schema,
    store,
    stubs,
    test,
)
from airflow_datahub.cli.console import UnknownLevel
from airflow_datahub.environment import plugins_folder
from airflow_datahub.errors import DatahubError, Interrupted, SpecError

SIGINT_OF_TYPER = 130
DONE, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 3

application = typer.Typer(
    name="airflow-datahub",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(asked: bool) -> None:
    if asked:
        print(f"airflow-datahub {__version__}")
        raise typer.Exit


@application.callback(help="Data ingestion for Apache Airflow: lint, try and run pipelines written in YAML.")
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version, and end.")
    ] = False,
) -> None: ...


application.command("lint")(lint.lint)
application.command("test")(test.test)
application.command("preview")(preview.preview)
application.command("run")(run.run)
application.command("plan")(plan.plan)
application.command("probe")(probe.probe)
application.command("list")(listing.list_)
application.command("describe")(describe.describe)
application.command("config")(config.config)
application.command("schema")(schema.schema)
application.command("stubs")(stubs.stubs)
application.add_typer(new.application, name="new", help="A pipeline, an adapter or a package to begin with.")
application.add_typer(runs.application, name="runs", help="The ledger: what ran, and what became of the records.")
application.add_typer(rejects.application, name="rejects", help="Records that were set aside, with their reasons.")
application.add_typer(checkpoint.application, name="checkpoint", help="Where a pipeline stands, and moving it by hand.")
application.add_typer(revisions.application, name="revisions", help="The specs that ran, drafts, and publishing one.")
application.add_typer(store.application, name="store", help="Where the store is, and bringing it up to date.")


def main() -> None:
    """Run the command line and leave with its exit code."""
    if (plugins := plugins_folder()).is_dir():
        sys.path.append(str(plugins))  # as Airflow does
    try:
        application()
    except SpecError as error:
        print(*error.problems, sep="\n")
        _leave(f"{len(error.problems)} problem(s)", WRONG)
    except Interrupted:
        _leave_now()
    except SystemExit as left:
        if left.code == SIGINT_OF_TYPER:
            _leave_now()
        sys.exit(left.code)
    except UnknownLevel as error:
        _leave(str(error), WRONG)
    except DatahubError as error:
        _leave(str(error), FAILED)


def _leave(message: str, code: int) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)


def _leave_now() -> NoReturn:
    """End without waiting for a thread that hangs, or for a buffer that nobody empties; the log has said it all."""
    os._exit(INTERRUPTED)
