"""A PostgreSQL and the mock API, to try pipelines with, for as long as a command runs.

    python -m airflow_datahub.demo.servers bash

The command finds the connections `warehouse` and `datasync` in its environment; both servers end with it. Data stays in
the folder `.demo`. A few of the API's events are such as no table can take.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn

from airflow_datahub.demo import folders
from airflow_datahub.demo.mock_api import MockApi
from airflow_datahub.demo.postgres import EmbeddedPostgres
from airflow_datahub.errors import ConfigurationError, DatahubError

DATABASE = "warehouse"
EVENTS = 20_000
POISON = 0.0005
"""The share of events that are bad."""


def main(arguments: Sequence[str]) -> int:
    """Start both, run the command, end both; the command's exit code."""
    options = parser().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    try:
        with ExitStack() as stack:
            folder = stack.enter_context(folders.held(options.folder.absolute()))
            postgres, api = start(folder, options.events, stack, poison=POISON)
            return run(options.command, connections(postgres, api))
    except DatahubError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m airflow_datahub.demo.servers", description="Run a command beside a PostgreSQL and a mock API."
    )
    made.add_argument("--folder", type=Path, default=Path(".demo"), help="where data and logs live (= %(default)s)")
    made.add_argument("--events", type=int, default=EVENTS, help="events of the mock API (= %(default)s)")
    made.add_argument("command", nargs=argparse.REMAINDER, help="such as bash")
    return made


def leave(number: int, _frame: object) -> NoReturn:
    """End by way of all the cleaning up."""
    raise SystemExit(128 + number)


def start(folder: Path, events: int, stack: ExitStack, poison: float = 0.0) -> tuple[EmbeddedPostgres, MockApi]:
    """PostgreSQL with the database `warehouse`, and the mock API; the stack ends them."""
    postgres = stack.enter_context(EmbeddedPostgres(folders.for_postgres(folder / "postgres")))
    postgres.create_database(DATABASE)
    api = stack.enter_context(MockApi(events=events, poison=poison, log=folder / "mock-api.log"))
    return postgres, api


def connections(postgres: EmbeddedPostgres, api: MockApi) -> dict[str, dict[str, Any]]:
    """The connections that the events pipeline names."""
    return {
        "datasync": {
            "conn_type": "http",
            "host": f"{api.url}/api/v1",
            "password": api.api_key,
            "extra": {"auth": "api_key", "header": "X-API-Key", "allow_private": True},
        },
        "warehouse": {
            "conn_type": "postgres",
            "host": "127.0.0.1",
            "port": postgres.port,
            "login": "postgres",
            "password": postgres.password,
            "schema": DATABASE,
        },
    }


def run(command: Sequence[str], defined: dict[str, dict[str, Any]]) -> int:
    """Run the command to its end; Ctrl-C is for it alone."""
    if not command:
        raise ConfigurationError("no command: say what is to run beside the servers, such as bash")
    variables = {f"AIRFLOW_CONN_{name.upper()}": json.dumps(value) for name, value in defined.items()}
    try:
        process = subprocess.Popen(command, env={**os.environ, **variables})  # noqa: S603
    except OSError as error:
        raise ConfigurationError(f"{command[0]} cannot be run: {error.strerror}") from None
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # after the start: the command inherits what is ignored
    try:
        return process.wait()
    finally:
        signal.signal(signal.SIGINT, before)
        if process.poll() is None:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
