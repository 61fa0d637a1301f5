"""The case `airflow`: what a person waits for from the trigger of a run to its success, above the engine's own time.

A real Airflow with a quick scheduler; each run brings the same few events into an emptied table."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from airflow_datahub.demo import servers
from airflow_datahub.demo.airflow import StandaloneAirflow
from airflow_datahub.demo.airflow_rest import FINAL
from airflow_datahub.demo.mock_api import MockApi
from airflow_datahub.demo.postgres import EmbeddedPostgres
from airflow_datahub.state.store import Store

DAGS = Path(__file__).parent.parent / "dags"
DAG = "datasync_events"
EVENTS = 1_000
TUNED = {"AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1"}
"""The scheduler looks ten times a second for what to do; with its default of one second, each hop waits for it."""
LOOKS = 0.05
"""Seconds between two questions whether the run has ended."""


@dataclass(frozen=True)
class Wait:
    """One run."""

    total: float
    """Seconds from the request for the run to the answer that it is a success."""
    engine: float
    """Seconds from the ledger's first word of the run to its last."""

    @property
    def above(self) -> float:
        """What Airflow adds: its scheduler, the task's process, its reports."""
        return self.total - self.engine


def rounds(count: int, server: EmbeddedPostgres) -> list[Wait]:
    """So many runs, after one that is not counted: the first after a start waits for imports."""
    with started(server) as airflow, Store.open(home=airflow.home) as store:
        return [one(airflow, store, server) for _ in range(count + 1)][1:]


@contextmanager
def started(server: EmbeddedPostgres) -> Iterator[StandaloneAirflow]:
    """The demo's Airflow, with its DAG parsed."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        api = stack.enter_context(MockApi(events=EVENTS, duplicates=0))
        server.create_database(servers.DATABASE)
        connections = servers.connections(server, api)
        airflow = StandaloneAirflow(home, DAGS, connections=connections, environment=TUNED, parse_interval=30)
        stack.enter_context(airflow)
        airflow.wait_for_dag(DAG)
        airflow.unpause(DAG)
        yield airflow


def one(airflow: StandaloneAirflow, store: Store, server: EmbeddedPostgres) -> Wait:
    """Trigger a run and wait for it."""
    begun = time.perf_counter()
    run_id = airflow.trigger(DAG)
    while (state := airflow.state(DAG, run_id)) not in FINAL:
        time.sleep(LOOKS)
    total = time.perf_counter() - begun
    run = store.run(DAG, run_id)
    ((rows,),) = server.execute("select count(*) from ingested_events", servers.DATABASE)
    if state != "success" or rows != EVENTS or not run or not run.ended_at:
        sys.exit(f"run {run_id}: {state}, {rows} rows\n{airflow.log_tails()}")
    server.execute("truncate ingested_events, _datahub_checkpoint", servers.DATABASE)
    wait = Wait(total, (run.ended_at - run.started_at).total_seconds())
    print(f"  {wait.total:.2f} s, {wait.engine:.2f} s of it the engine's", file=sys.stderr, flush=True)
    return wait


def table(waits: Sequence[Wait]) -> str:
    """Markdown: medians over the runs."""
    above = [wait.above for wait in waits]
    total, engine = (statistics.median(getattr(wait, name) for wait in waits) for name in ("total", "engine"))
    span = f"{statistics.median(above):.2f} s ({min(above):.2f} to {max(above):.2f})"
    head = f"| airflow, {EVENTS:,} events | trigger to success | the engine's own | above it |\n|---|--:|--:|--:|"
    return f"{head}\n| ours | {total:.2f} s | {engine:.2f} s | {span} |"
