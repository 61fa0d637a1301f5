"""`make demo`: events of a mock API, through a real Airflow, into a real PostgreSQL, on this machine alone.

    python -m airflow_datahub.demo [--folder .demo] [--events 100000] [--dags dags]

Everything it starts ends with it; `KEEP=1` keeps it running, with Airflow's web UI, until Ctrl-C. Data stays in the
folder: a second demo finds nothing new.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
from rich.console import Console

from airflow_datahub.demo import folders, servers
from airflow_datahub.demo.airflow import StandaloneAirflow
from airflow_datahub.demo.following import Follower, rate
from airflow_datahub.demo.mock_api import MockApi
from airflow_datahub.demo.postgres import EmbeddedPostgres, free_port
from airflow_datahub.demo.servers import DATABASE, leave
from airflow_datahub.errors import ConfigurationError, DatahubError, RunFailed

DAG = "datasync_events"
TABLE = "ingested_events"
RUN_TIMEOUT = 600


@dataclass
class World:
    """What the demo has started."""

    postgres: EmbeddedPostgres
    api: MockApi
    airflow: StandaloneAirflow


def main(arguments: Sequence[str]) -> int:
    """Run the demo; 0 when all events are in the table."""
    options = parser().parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin without it
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    try:
        with ExitStack() as stack:
            world = start(options, stack, console)
            ingest(world, console)
            if os.environ.get("KEEP", "0") not in ("", "0"):
                console.print("everything keeps running; Ctrl-C ends it")
                with suppress(KeyboardInterrupt):
                    signal.pause()
        return 0
    except (DatahubError, httpx.HTTPError) as error:
        console.print(f"demo failed: {error}", markup=False)
        return 1
    except KeyboardInterrupt:
        console.print("stopped")
        return 130


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m airflow_datahub.demo", description="See a pipeline run.")
    made.add_argument("--folder", type=Path, default=Path(".demo"), help="where data and logs live (= %(default)s)")
    made.add_argument("--events", type=int, default=100_000, help="events of the mock API (= %(default)s)")
    made.add_argument("--dags", type=Path, default=Path(__file__).parents[2] / "dags", help="Airflow's DAG folder")
    return made


def start(options: argparse.Namespace, stack: ExitStack, console: Console) -> World:
    """Start PostgreSQL, the mock API and Airflow; the stack ends them."""
    if not options.dags.is_dir():
        raise ConfigurationError(f"there is no folder {options.dags}: say with --dags where the DAGs are")
    folder = stack.enter_context(folders.held(options.folder.absolute()))
    began = time.monotonic()
    postgres, api = servers.start(folder, options.events, stack)
    data = postgres.folder
    console.print(f"PostgreSQL  127.0.0.1:{postgres.port}, data in {data}")
    if not data.is_relative_to(folder):
        console.print(f"            (not in {folder}: it cannot run as root, and no other user may enter there)")
    console.print(f"mock API    {api.url}/api/v1/events, {options.events:,} events")
    console.print("Airflow     starts, which takes half a minute …")
    airflow = StandaloneAirflow(
        folder / "airflow",
        options.dags,
        connections=servers.connections(postgres, api),
        port=free_port(8080),
        parse_interval=30,
    )
    stack.enter_context(airflow)
    console.print(f"Airflow     {airflow.url}, login {airflow.login}, password {airflow.password}", markup=False)
    console.print(f"all healthy after {time.monotonic() - began:.0f} s")
    return World(postgres, api, airflow)


def ingest(world: World, console: Console) -> None:
    """Trigger the pipeline, follow it, say what is in the table; RunFailed with a diagnosis when it did not work."""
    airflow = world.airflow
    airflow.wait_for_dag(DAG)
    follower = Follower(airflow, world.postgres, DATABASE, TABLE, console)
    before, total = follower.rows(), world.api.stats()["unique"]
    airflow.unpause(DAG)
    run = airflow.trigger(DAG)
    state = follower.follow(DAG, run, total, RUN_TIMEOUT)
    logs = follower.task_logs(DAG, run)
    rows = follower.rows()
    if state != "success" or rows < total:
        raise RunFailed(diagnosis(f"run {run}: {state}, {rows:,} of {total:,} rows", logs, airflow.import_errors()))
    console.print("[bold green]ingestion complete[/]")
    console.print(f"{rows:,} rows in {DATABASE}.{TABLE}, counted by PostgreSQL; {rows - before:,} new")
    if measured := rate(logs):
        console.print(f"{measured} events/s, by the task's own time")
    console.print(f"Airflow: {airflow.url}, login {airflow.login}, password {airflow.password}", markup=False)


def diagnosis(title: str, logs: dict[str, str], errors: dict[str, str]) -> str:
    """What a person needs to find out why."""
    tails = [f"--- log of {task}\n{log[-3000:]}" for task, log in logs.items()]
    imports = [f"--- import error in {file}\n{text[-2000:]}" for file, text in errors.items()]
    return "\n".join([title, *tails, *imports])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
