"""Many processes at one store: as Celery's workers and API servers on PostgreSQL, as LocalExecutor's tasks on SQLite.

Nothing is lost, nothing locks up, and of what only one may do one does it.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from airflow_datahub.contract import Run, Stream
from airflow_datahub.engine import run_pipeline
from airflow_datahub.environment import connection
from airflow_datahub.errors import RunError
from airflow_datahub.spec import loads
from airflow_datahub.state import Counters, Reject
from airflow_datahub.state.store import Store, located
from airflow_datahub.state.tables import SCHEMA_VERSION, version
from airflow_datahub.state.upkeep import size
from tests.state.conftest import Opener
from tests.state.test_upgrade import aged

FORK = multiprocessing.get_context("fork")
WORKERS, ROUNDS = 8, 2
LOST = 7
"""The exit code of a process whose run another one overtook."""


OLDER = """
insert into datahub_run (pipeline, run_id, state, started_at, revision, "trigger", tries)
values ('{0}', '{0}', 'success', '2026-01-01 00:00:00.000000', '', 'cli', 1)
"""
"""How schema 1 keeps a run."""


def all_at_once(work: Callable[[int], int | None], meanwhile: Callable[[], None] = lambda: None) -> list[int | None]:
    """Fork the workers, let them begin at once, and give what each ended with."""
    together = FORK.Barrier(WORKERS)

    def begin(number: int) -> None:
        together.wait(60)
        os._exit(work(number) or 0)

    children = [FORK.Process(target=_telling, args=(begin, number)) for number in range(WORKERS)]
    for child in children:
        child.start()
    meanwhile()
    for child in children:
        child.join(120)
        child.kill()
    return [child.exitcode for child in children]


def _telling(begin: Callable[[int], None], number: int) -> None:
    try:
        begin(number)
    except BaseException as error:
        print(f"worker {number}: {error!r}", flush=True)
        raise


def one_run(store: Store, name: str) -> None:
    """All that a run writes: ledger, text of its spec, counts, rejects that a commit opens, audit."""
    stream = Stream(name, "extract>load")
    store.begin(name, name, name, "cli", f"version: 1 # {name}")
    store.save_steps(name, name, {"extract": Counters(records_in=1), "load": Counters(records_in=1)})
    rejects = [Reject(each, "extract", None, None, "bad", {"of": name}) for each in range(2)]
    store.add_rejects(stream, name, name, name, 1, rejects, provisional=True)
    store.confirm(stream, 1, name)
    store.settle(stream, 1, name)
    store.audit(name, "checkpoint set", name, "all")
    store.end(name, name, "success")


@pytest.mark.parametrize("schema", [None, 1])
def test_all_of_many_workers_is_kept_from_the_first_start_or_an_upgrade_on(opener: Opener, schema: int | None) -> None:
    """One process of the older release is under way all the time, and somebody looks at the store."""
    older = opener() if schema else None
    if schema:
        aged(opener, schema)

    def work(number: int) -> None:
        store = opener()
        pinned = {store.begin("shared", "run-1", f"of {number}", "cli", f"version: 1 # {number}")}
        for each in range(ROUNDS):
            one_run(store, f"worker-{number}-{each}")
            pinned.add(store.begin("shared", "run-1", f"of {number}", "cli", f"version: 1 # {number}"))
        assert len(pinned) == 1, "a run stays with the spec of whoever was first"

    def meanwhile() -> None:
        """What an older release does: it knows nothing of newer tables and columns, and goes on as it began."""
        for each in range(ROUNDS if older else 0):
            with older._database.writing() as writing:  # type: ignore[union-attr]
                writing.exec_driver_sql(OLDER.format(f"older-{each}"))
            size(located())

    assert all_at_once(work, meanwhile) == [0] * WORKERS
    names = {f"worker-{number}-{each}" for number in range(WORKERS) for each in range(ROUNDS)}
    with opener() as store:
        check_kept(store, names, {f"older-{each}" for each in range(ROUNDS)} if schema else set())
        shared = store.run("shared", "run-1")
        assert shared
        assert shared.tries == WORKERS * (ROUNDS + 1)
        assert [row.revision for row in store.revisions.all("shared")] == [shared.revision]
    assert version(located()) == SCHEMA_VERSION


def check_kept(store: Store, names: set[str], older: set[str]) -> None:
    """Every run of the workers with all it wrote, and what was there before."""
    runs = {row.run_id: row for row in store.runs(limit=1_000) if row.run_id != "run-1"}
    assert set(runs) == names | older
    assert {row.state for row in runs.values()} == {"success"}
    rejects = [row.record["of"] for row in store.rejects(limit=1_000) if "of" in row.record]
    assert sorted(rejects) == sorted([*names] * 2)
    assert {row.actor for row in store.audits(limit=1_000)} >= names
    assert all(store.revisions.get(name, name) and len(store.steps(name, name)) == 2 for name in names)
    assert bool(store.run("events", "run-1")) == bool(older), "what was in the older store"


def test_a_writer_that_takes_its_time_is_waited_for(opener: Opener) -> None:
    """No `database is locked` reaches anybody while somebody holds the lock for shorter than they wait."""
    held = FORK.Event()
    with opener() as store:
        store.begin("shared", "run-1", "abc", "cli")

        def hold() -> None:
            with store._database.writing() as writing:
                writing.exec_driver_sql("update datahub_run set tries = 100 where pipeline = 'shared'")
                held.set()
                time.sleep(1)

        def work(number: int) -> None:
            held.wait(60)
            opener().begin("shared", "run-1", "abc", "cli")

        assert all_at_once(work, hold) == [0] * WORKERS
        row = store.run("shared", "run-1")
        assert row
        assert row.tries == 100 + WORKERS


APPENDING = """version: 1
throughput: {batch_size: 20}
steps:
  - {key: numbers, type: extract, adapter: "tests.engine.odd:Numbers", config: {count: 200, page: 10, pause: 0.002}}
  - {key: load, type: load, adapter: postgres, config: {connection: warehouse, table: numbers, strategy: append}}
"""


def test_many_runs_of_one_pipeline_at_once_bring_each_record_once(
    shared: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """All of them make the store, the table and its checkpoint; each commit has one winner, the others leave."""
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", shared)

    def work(number: int) -> int:
        run = Run(pipeline="numbers", run_id=f"run-{number}", connections=connection)
        try:
            with Store.open(connection) as store:
                run_pipeline(loads(APPENDING, "numbers.yaml"), run, store)
        except RunError as error:
            print(error, flush=True)
            return LOST if "another writer moved the checkpoint" in str(error) else 1
        return 0

    codes = all_at_once(work)
    assert set(codes) <= {0, LOST}
    assert 0 in codes
    with psycopg.connect(shared) as direct:
        numbers = [row[0] for row in direct.execute("select n from numbers order by n").fetchall()]
    assert numbers == list(range(200))
    with Store.open(connection) as store:
        states = {row.run_id: row.state for row in store.runs("numbers")}
    assert states == {f"run-{n}": "success" if code == 0 else "failed" for n, code in enumerate(codes)}
