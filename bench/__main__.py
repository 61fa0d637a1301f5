"""Runs the reference and ours in turn, each in a fresh process on a fresh database, and prints the ratio of the rates.

python -m bench [--events 200000] [--rounds 5]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from airflow_datahub.demo.mock_api import MockApi
from airflow_datahub.demo.postgres import EmbeddedPostgres

HERE = Path(__file__).parent
LAST_LINE = re.compile(r"ingestion complete: ([\d,]+) records in ([\d.]+) s")


@dataclass
class Measured:
    name: str
    seconds: float
    """Of the work itself, as the program says; without its start."""
    rows: int
    """In the table afterwards."""
    rate: float
    """Records read a second of work."""
    memory: float
    """Peak of the process, MB."""
    cpu: float
    """Seconds of the process, start included."""


def measured(
    name: str, argv: list[str], environment: dict[str, str], events: int, server: EmbeddedPostgres
) -> Measured:
    database = f"bench_{name}"
    server.execute(f"drop database if exists {database} with (force)")
    dsn = server.create_database(database)
    server.execute("checkpoint")
    argv = [each.replace("{dsn}", dsn) for each in argv]
    environment = {key: value.replace("{dsn}", dsn) for key, value in environment.items()}
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            argv, cwd=HERE.parent, stdout=output, stderr=output,
            env={**os.environ, "AIRFLOW_HOME": home, **environment},
        )  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    if process.returncode:
        sys.exit(f"{name} failed:\n{text}")
    seconds = float(match[2]) if (match := LAST_LINE.search(text)) else float(text.split()[-2])
    rows = int(server.execute("select count(*) from events", database)[0][0])
    cpu = usage.ru_utime + usage.ru_stime
    return Measured(name, seconds, rows, events / seconds, usage.ru_maxrss / 1024, round(cpu, 2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        MockApi(events=asked.events) as api,
    ):
        os.chmod(folder, 0o755)
        with EmbeddedPostgres(Path(folder, "postgres"), settings={"max_wal_size": "4GB"}) as server:
            rounds = [one_round(i, asked.events, api, server) for i in range(asked.rounds)]
    report(asked.events, rounds)


def one_round(number: int, events: int, api: MockApi, server: EmbeddedPostgres) -> dict[str, Measured]:
    connection = {"conn_type": "http", "host": api.url, "password": api.api_key}
    connection["extra"] = {"auth": "api_key", "header": "X-API-Key", "allow_private": True}
    cases = {
        "reference": ([sys.executable, "-m", "bench.reference", api.url, api.api_key, "{dsn}"], {}),
        "ours": (
            [sys.executable, "-m", "airflow_datahub.cli", "run", str(HERE / "events.yaml")],
            {"AIRFLOW_CONN_API": json.dumps(connection), "AIRFLOW_CONN_WAREHOUSE": "{dsn}"},
        ),
    }
    results = {name: measured(name, argv, env, events, server) for name, (argv, env) in cases.items()}
    if results["reference"].rows != results["ours"].rows:
        sys.exit(f"the tables differ: {results}")
    said = "  ".join(f"{name} {each.rate:,.0f}/s {each.memory:.0f} MB" for name, each in results.items())
    print(f"round {number + 1}: {said}  ratio {results['ours'].rate / results['reference'].rate:.2f}", flush=True)
    return results


def report(events: int, rounds: list[dict[str, Measured]]) -> None:
    ratios = [each["ours"].rate / each["reference"].rate for each in rounds]
    median = {name: statistics.median(each[name].rate for each in rounds) for name in rounds[0]}
    memory = max(each["ours"].memory for each in rounds)
    print(f"\n{events:,} events, API to PostgreSQL, medians of {len(rounds)} interleaved pairs")
    print(f"reference {median['reference']:,.0f}/s, ours {median['ours']:,.0f}/s, peak memory {memory:.0f} MB")
    print(f"ratio {statistics.median(ratios):.2f} (from {min(ratios):.2f} to {max(ratios):.2f})")
    folder = HERE / "results"
    folder.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    written = {"when": now.isoformat(), "events": events, "cores": os.cpu_count(), "ratio": statistics.median(ratios)}
    written["rounds"] = [{name: asdict(each) for name, each in one.items()} for one in rounds]
    (folder / f"{now:%Y%m%dT%H%M%S}.json").write_text(json.dumps(written, indent=2))


if __name__ == "__main__":
    main()
