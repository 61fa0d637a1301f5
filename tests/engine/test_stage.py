"""A stage against a real PostgreSQL: what is complete is committed, a stop is quick, the next run goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from airflow_datahub.contract import Batch, Checkpoint, Connection, Run, Settle, Written
from airflow_datahub.engine import Outcome, Task, run_pipeline
from airflow_datahub.environment import connection as from_environment
from airflow_datahub.errors import ConfigurationError, Interrupted, RunFailed, StopRun
from airflow_datahub.postgres.preparing import Prepared
from airflow_datahub.postgres.writing import TableWriter
from airflow_datahub.spec import Pipeline, loads
from airflow_datahub.state.store import Store
from tests.proxy import How, Proxy

SPEC = """version: 1
{more}
throughput: {{batch_size: 20}}
steps:
  - {{key: numbers, type: extract, adapter: "tests.engine.odd:Numbers", config: {{count: {count}, {config}}}}}
  - {{key: tidy, type: transform, operators: [{operator}]}}
  - {{key: load, type: load, adapter: postgres, config: {{connection: warehouse, table: numbers, strategy: append}}}}
"""


def pipeline(
    count: int, config: str = "page: 10", operator: str = "set: {field: s, value: x}", more: str = ""
) -> Pipeline:
    """Of one revision, whatever it says: what differs between the tries of a run stands for the source behind it."""
    made = loads(SPEC.format(count=count, config=config, operator=operator, more=more), "numbers.yaml")
    return made.model_copy(update={"revision": "numbers"})


class Lab:
    """Runs pipelines on one database and one store."""

    def __init__(self, dsn: str, store: Store):
        self.dsn, self.store, self.runs = dsn, store, 0

    def connection(self, connection_id: str) -> Connection:
        return from_environment(connection_id, {"AIRFLOW_CONN_WAREHOUSE": self.dsn})

    def run(self, what: Pipeline, *, stopping: threading.Event | None = None, run_id: str = "") -> Outcome:
        self.runs += 1
        run = Run(
            pipeline=what.id, run_id=run_id or f"run-{self.runs}", connections=self.connection,
            stopping=stopping or threading.Event(),
        )  # fmt: skip
        return run_pipeline(what, run, self.store)

    def numbers(self) -> list[int]:
        with psycopg.connect(self.dsn) as connection:
            return [row[0] for row in connection.execute("select n from numbers order by n").fetchall()]


@pytest.fixture
def lab(database: str, tmp_path: Path) -> Iterator[Lab]:
    with Store.open(lambda name: from_environment(name, {}), tmp_path) as store:
        yield Lab(database, store)


def test_what_was_fetched_before_an_error_is_committed_and_the_next_run_goes_on(lab: Lab) -> None:
    with pytest.raises(RunFailed, match=r"'numbers', step 'numbers'.*the cable is out"):
        lab.run(pipeline(100, "page: 10, fail_at: 50"))
    assert lab.numbers() == list(range(50))
    assert lab.store.runs("numbers")[0].state == "failed"
    assert lab.run(pipeline(100, "page: 10")).records == 50
    assert lab.numbers() == list(range(100))


def test_a_stop_commits_what_is_complete_and_the_next_run_goes_on(lab: Lab) -> None:
    stopping = threading.Event()
    threading.Timer(0.5, stopping.set).start()
    started = time.monotonic()
    with pytest.raises(Interrupted):
        lab.run(pipeline(1000, "page: 10, pause: 0.05"), stopping=stopping)
    assert time.monotonic() - started < 4
    before = lab.numbers()
    assert 0 < len(before) < 1000
    assert before == list(range(len(before)))
    assert lab.store.runs("numbers")[0].state == "interrupted"
    lab.run(pipeline(1000))
    assert lab.numbers() == list(range(1000))


def test_a_stop_cancels_sql_that_waits_for_a_lock(lab: Lab) -> None:
    lab.run(pipeline(10))
    stopping = threading.Event()
    with psycopg.connect(lab.dsn) as other:
        other.execute("lock table numbers in access exclusive mode")
        threading.Timer(0.3, stopping.set).start()
        started = time.monotonic()
        with pytest.raises(Interrupted):
            lab.run(pipeline(1000), stopping=stopping)
        assert time.monotonic() - started < 4.5
    lab.run(pipeline(1000))
    assert lab.numbers() == list(range(1000))


def test_the_ledger_counts_over_all_tries_of_a_run(lab: Lab) -> None:
    with pytest.raises(RunFailed):
        lab.run(pipeline(100, "page: 10, fail_at: 50"), run_id="one")
    lab.run(pipeline(100), run_id="one")
    steps = lab.store.steps("numbers", "one")
    assert (steps["numbers"].records_in, steps["numbers"].pages) == (100, 10)
    assert (steps["load"].inserted, steps["load"].commits) == (100, 6)
    row = lab.store.run("numbers", "one")
    assert row
    assert (row.state, row.tries) == ("success", 2)


@pytest.mark.parametrize(
    ("columns", "commits"),
    [("", [6_000]), (", columns: {n: bigint}", [6_000]), (", columns: {n: bigint, s: text}", [1_000, 3_000, 2_000])],
)
def test_first_commits_are_small_only_where_they_decide_no_types(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, columns: str, commits: list[int]
) -> None:
    sizes: list[int] = []
    prepare = TableWriter.prepare

    def watched(writer: TableWriter, batch: Batch) -> Prepared:
        sizes.append(len(batch.records))
        return prepare(writer, batch)

    monkeypatch.setattr(TableWriter, "prepare", watched)
    text = SPEC.format(more="", count=6_000, config="page: 500", operator="set: {field: s, value: x}")
    text = text.replace("batch_size: 20", "batch_size: 10_000").replace(" append", " append" + columns)
    lab.run(loads(text, "numbers.yaml"))
    assert sizes == commits
    assert lab.numbers() == list(range(6_000))
    sizes.clear()
    text = text.replace("count: 6000", "count: 9000")
    lab.run(loads(text, "numbers.yaml"))
    assert sizes == [1_000, 2_000]  # the table is there
    assert lab.numbers() == list(range(9_000))


def test_expectations_count_over_all_tries_of_a_run(lab: Lab) -> None:
    more = "expect: {min_records: 80}"
    with pytest.raises(RunFailed):
        lab.run(pipeline(100, "page: 10, fail_at: 50", more=more), run_id="one")
    assert lab.run(pipeline(100, more=more), run_id="one").records == 50
    with pytest.raises(StopRun, match=r"gave 0 records, expect\.min_records says 80"):
        lab.run(pipeline(100, more=more), run_id="two")


def test_rejects_above_the_budget_fail_the_run_and_are_there_to_be_seen(lab: Lab) -> None:
    what = pipeline(100, operator="expression: {field: x, value: 1 / (record.n % 2)}", more="rejects: {max: 10}")
    with pytest.raises(StopRun, match=r"rejects\.max allows 10"):
        lab.run(what)
    rejects = lab.store.rejects("numbers", limit=1000)
    assert len(rejects) > 10
    assert all(reject.record["n"] % 2 == 0 for reject in rejects)


def test_the_first_error_is_the_one_that_is_told(lab: Lab) -> None:
    spec = SPEC.format(count=1, config="page: 1", operator="parse_date: {field: n, required: true}", more="")
    spec = spec.replace("odd:Numbers", "odd:Startled").replace("count: 1, page: 1", "")
    spec = spec.replace("key: tidy,", "key: tidy, on_error: stop,").replace("field: n,", "field: day,")
    with pytest.raises(StopRun, match="day: required"):
        lab.run(loads(spec, "numbers.yaml"))


def test_an_operator_that_stops_undoes_its_own_batch_only(lab: Lab) -> None:
    what = pipeline(100, operator="expression: {field: x, value: 1 / (45 - record.n), on_error: stop}")
    with pytest.raises(StopRun, match="step 'tidy': operator 'expression'"):
        lab.run(what)
    assert lab.numbers() in (list(range(40)), list(range(20)), [])


def test_a_load_may_drop_or_stop_at_what_it_refuses(lab: Lab) -> None:
    lab.run(pipeline(10))
    with psycopg.connect(lab.dsn) as connection:
        connection.execute("alter table numbers add check (n <> 15)")
    text = SPEC.format(count=30, config="page: 10", operator="set: {field: s, value: x}", more="")
    drop = loads(text.replace("key: load,", "key: load, on_error: drop,"), "numbers.yaml")
    stop = loads(text.replace("key: load,", "key: load, on_error: stop,"), "numbers.yaml")
    with pytest.raises(StopRun, match="step 'load'"):
        lab.run(stop)
    assert lab.numbers() == list(range(10))
    lab.run(drop)
    assert lab.numbers() == [n for n in range(30) if n != 15]
    assert lab.store.rejects("numbers") == []


def test_a_limit_ends_while_uneven_pages_wait(lab: Lab) -> None:
    """Pages that together are more than may wait must not hold the reader for ever."""
    sizes = [1 << 20, 12 << 20, 11 << 20, 10 << 20, 10 << 20]
    what = pipeline(5, f"page: 1, sizes: {sizes}")
    started = time.monotonic()
    run = Run(pipeline=what.id, run_id="limited", connections=lab.connection)
    assert run_pipeline(what, run, lab.store, Task(limit=1)).records == 1
    assert time.monotonic() - started < 10
    assert lab.run(what).records == 4
    assert lab.numbers() == list(range(5))


def test_a_table_that_is_gone_is_not_made_anew_without_its_rows(lab: Lab) -> None:
    lab.run(pipeline(10))
    with psycopg.connect(lab.dsn) as connection:
        connection.execute("alter table numbers rename to elsewhere")
    with pytest.raises(ConfigurationError, match=r"step 'numbers'.*public\.numbers.*--full"):
        lab.run(pipeline(20))
    run = Run(pipeline="numbers", run_id="again", connections=lab.connection)
    assert run_pipeline(pipeline(20), run, lab.store, Task(full=True)).records == 20
    assert lab.numbers() == list(range(20))


def test_another_table_does_not_begin_in_the_middle(lab: Lab) -> None:
    lab.run(pipeline(10))
    other = loads(
        SPEC.format(count=20, config="page: 10", operator="set: {field: s, value: x}", more="").replace(
            "table: numbers", "table: numbers_2"
        ),
        "numbers.yaml",
    )
    with pytest.raises(ConfigurationError, match=r"public\.numbers"):
        lab.run(other)


def test_a_transaction_carries_at_most_two_batches(lab: Lab) -> None:
    lab.run(pipeline(200, "page: 70"), run_id="one")
    assert 5 <= lab.store.steps("numbers", "one")["load"].commits <= 10  # it begins with 20 and ends with 40
    assert lab.numbers() == list(range(200))


class Counting(TableWriter):
    """Counts the batches that are prepared and not committed."""

    most = under_way = 0

    def prepare(self, batch: Batch) -> Prepared:
        type(self).under_way += 1
        type(self).most = max(self.most, self.under_way)
        return super().prepare(batch)

    def commit(self, prepared: Prepared, checkpoint: Checkpoint, settle: Settle) -> Written:
        time.sleep(0.02)
        written = super().commit(prepared, checkpoint, settle)
        type(self).under_way -= 1
        return written


def test_three_batches_are_under_way_at_most(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_datahub.postgres.writing.TableWriter", Counting)
    lab.run(pipeline(1000))
    assert Counting.most == 3
    assert lab.numbers() == list(range(1000))


@pytest.mark.parametrize("how", ["before", "after"])
@pytest.mark.parametrize("nth", [2, 8, 9])
def test_a_commit_without_an_answer_counts_and_rejects_once(lab: Lab, how: How, nth: int) -> None:
    """By one of the two connections, whichever says it."""
    what = pipeline(200, operator="expression: {field: x, value: 1 / (record.n % 10)}")
    direct = conninfo_to_dict(lab.dsn)
    with Proxy(int(str(direct["port"]))) as proxy:
        lab.dsn = lab.dsn.replace(f":{direct['port']}/", f":{proxy.port}/")
        proxy.lose(b"COMMIT", how, nth)
        lab.run(what, run_id="one")
        assert proxy.lost == 1
        assert lab.numbers() == [n for n in range(200) if n % 10]
    assert sorted(reject.record["n"] for reject in lab.store.rejects("numbers")) == list(range(0, 200, 10))
    assert lab.store.rejects("numbers", state="provisional") == []
    steps = lab.store.steps("numbers", "one")
    assert (steps["load"].inserted, steps["tidy"].rejected) == (180, 20)


class Hanging(TableWriter):
    """A server that answers to nobody any more."""

    def commit(self, prepared: Any, checkpoint: Checkpoint, settle: Settle) -> Written:
        time.sleep(60)
        raise AssertionError

    def cancel(self) -> None:
        time.sleep(60)


def test_a_stop_does_not_wait_for_a_dead_server(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_datahub.postgres.writing.TableWriter", Hanging)
    stopping = threading.Event()
    threading.Timer(0.3, stopping.set).start()
    started = time.monotonic()
    with pytest.raises(Interrupted):
        lab.run(pipeline(1000), stopping=stopping)
    assert time.monotonic() - started < 4.5
