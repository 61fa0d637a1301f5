"""`airflow-datahub run`: runs a pipeline here and now, without Airflow."""

from __future__ import annotations

import json
import signal
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from airflow_datahub.spec import Pipeline


def run(
    path: Annotated[Path, typer.Argument(help="The spec.")],
    limit: Annotated[
        int | None, typer.Option(help="End after so many records; a later run goes on there.", min=1)
    ] = None,
    param: Annotated[list[str] | None, typer.Option("--param", help="A param of the spec, as name=value.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Start at the beginning of the source again.")] = False,
    partition: Annotated[str | None, typer.Option(help="Only the partition of this key, such as 2024-01-15.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Approve at every gate.")] = False,
) -> None:
    """Run a pipeline here and now. Connections come from AIRFLOW_CONN_<ID>; the log goes to standard error."""
    from airflow_datahub.cli.console import Console
    from airflow_datahub.cli.specs import one
    from airflow_datahub.contract import Run
    from airflow_datahub.engine import Outcome, in_time
    from airflow_datahub.engine.whole import run_whole
    from airflow_datahub.environment import connection, redis_connection, spool_folder
    from airflow_datahub.spec import load
    from airflow_datahub.state.store import Store

    pipeline = load(one(path))
    params = params_of(pipeline, param or [])
    if partition is not None and pipeline.extract.partition is None:
        raise typer.BadParameter("--partition: no extract step of this spec has a `partition`")
    started = datetime.now(UTC)
    run_id = f"cli__{started:%Y-%m-%dT%H:%M:%S}_{uuid.uuid4().hex[:8]}"
    log = Console()
    with stop_on_signals() as stopping:
        of_this_run = Run(
            pipeline=pipeline.id, run_id=run_id, started=started, params=params, connections=connection,
            redis=redis_connection(), log=log, stopping=stopping, spool=spool_folder(),
        )  # fmt: skip

        def ingest() -> Outcome:
            with Store.open(log=log) as store:
                return run_whole(
                    pipeline, of_this_run, store, approver(yes), full=full, limit=limit, partition=partition
                )

        outcome = in_time(ingest, stopping, log)
    if outcome.skipped:
        log.info(outcome.summary)


def approver(yes: bool) -> Callable[[str], bool]:
    """Asks at the terminal; `yes` is the answer to all."""
    from airflow_datahub.errors import ConfigurationError

    def approve(message: str) -> bool:
        if yes:
            return True
        if not sys.stdin.isatty():
            raise ConfigurationError(f"a gate asks {message!r}, and nobody is there to answer: say --yes to approve")
        return typer.confirm(message)

    return approve


def params_of(pipeline: Pipeline, given: list[str]) -> Mapping[str, Any]:
    """The params of the call, typed as their schemas say; a wrong one is a wrong call."""
    from airflow_datahub.errors import ConfigurationError
    from airflow_datahub.spec import resolve_params

    try:
        return resolve_params(pipeline, dict(_param(pipeline, each) for each in given))
    except ConfigurationError as error:
        raise typer.BadParameter(str(error)) from error


def _param(pipeline: Pipeline, text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"--param {text!r}: write name=value")
    types = pipeline.params.get(name, {}).get("type", [])
    types = [types] if isinstance(types, str) else types
    if "string" in types and not (value == "null" and "null" in types):
        return name, value
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """SIGTERM and SIGINT ask for a clean stop; the second SIGINT ends at once."""
    stopping = threading.Event()

    def stop(number: int, frame: object) -> None:
        stopping.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
