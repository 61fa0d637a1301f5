"""Runs the reference and ours in turn, each in a fresh process on a fresh database; what counts is the ratio of rates.

python -m bench [--events 200000] [--rounds 5] [--cases api,api_payload,memory,parse,airflow]
                [--memory 200000,5000000] [--peers]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from airflow_datahub.demo.mock_api import MockApi
from airflow_datahub.demo.postgres import EmbeddedPostgres
from bench import parsing, report, triggering
from bench.measuring import Measured, Program, measure
from bench.peers import peers

HERE = Path(__file__).parent
SPECS = {"api": "events.yaml", "api_payload": "events_payload.yaml", "memory": "events.yaml"}


def reference(api: MockApi) -> Program:
    return Program("reference", [sys.executable, "-m", "bench.reference", api.url, api.api_key, "{dsn}"])


def ours(api: MockApi, spec: str) -> Program:
    extra = {"auth": "api_key", "header": "X-API-Key", "allow_private": True}
    connection = {"conn_type": "http", "host": api.url, "password": api.api_key, "extra": extra}
    return Program(
        "ours",
        [sys.executable, "-m", "airflow_datahub.cli", "run", str(HERE / spec)],
        {"AIRFLOW_CONN_API": json.dumps(connection), "AIRFLOW_CONN_WAREHOUSE": "{dsn}"},
    )


def one_round(number: int, programs: Sequence[Program], events: int, server: EmbeddedPostgres) -> report.Round:
    """Each program once; every other round in the opposite order."""
    order = programs if number % 2 == 0 else programs[::-1]
    found = {program.name: measure(program, events, server) for program in order}
    results = {program.name: found[program.name] for program in programs}
    if len({found[program.name].rows for program in programs if program.folds}) != 1:
        sys.exit(f"the tables differ: {results}")
    print(f"  round {number + 1}: {', '.join(map(_said, results.values()))}", file=sys.stderr, flush=True)
    return results


def _said(run: Measured) -> str:
    return f"{run.name} {run.rate:,.0f}/s {run.memory:.0f} MB"


def title(name: str, size: int) -> str:
    return f"{name}, {size:,} {'specs' if name == 'parse' else 'events'}"


def case(name: str, asked: argparse.Namespace, events: int, server: EmbeddedPostgres) -> Sequence[report.Round]:
    print(title(name, events), file=sys.stderr)
    if name == "parse":
        return parsing.rounds(asked.rounds)
    with MockApi(events=events) as api:
        programs = [ours(api, SPECS[name])]
        if name != "memory":
            programs.insert(0, reference(api))
        if name == "api" and asked.peers:
            programs += peers(api.url, api.api_key)
        rounds = 1 if name == "memory" else asked.rounds
        return [one_round(number, programs, events, server) for number in range(rounds)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cases", default="api,api_payload,memory,parse,airflow")
    parser.add_argument("--memory", default="200000,5000000", help="events of the case `memory`, one round each")
    parser.add_argument("--peers", action="store_true", help="dlt and sling, too, which are installed into .bench")
    asked = parser.parse_args()
    print(report.machine(), file=sys.stderr)
    sizes = {name: [asked.events] for name in SPECS} | {"memory": [int(each) for each in asked.memory.split(",")]}
    sizes["parse"] = [parsing.SPECS]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)  # root drops to another user, who must reach it
        with EmbeddedPostgres(Path(folder, "postgres"), settings={"max_wal_size": "4GB"}) as server:
            results = {
                title(name, events): case(name, asked, events, server)
                for name in asked.cases.split(",")
                for events in sizes.get(name, [])
            }
            waits = triggering.rounds(asked.rounds, server) if "airflow" in asked.cases.split(",") else []
    print(report.write(results, waits))


if __name__ == "__main__":
    main()
