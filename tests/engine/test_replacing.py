"""A run that replaces a table, through the engine: what is shown was read to its end, and a new run begins anew."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from airflow_datahub.contract import Run
from airflow_datahub.engine import Task, run_pipeline, running
from airflow_datahub.environment import connection as from_environment
from airflow_datahub.errors import Interrupted, RunFailed, StopRun
from airflow_datahub.postgres.connecting import Session
from airflow_datahub.postgres.shadow import Shadow
from airflow_datahub.spec import Pipeline, loads
from airflow_datahub.state.store import Store
from tests.engine.odd import Numbers
from tests.engine.test_stage import Lab
from tests.world import ROOT

SPEC = """version: 1
{more}
throughput: {{batch_size: 20}}
steps:
  - {{key: numbers, type: extract, adapter: "tests.engine.odd:Numbers", config: {{count: {count}, {config}}}}}
  - {{key: tidy, type: transform, operators: [set: {{field: s, value: {text}}}]}}
  - key: load
    type: load
    adapter: postgres
    config: {{connection: warehouse, table: numbers, strategy: replace, {load}}}
"""


def replacing(
    count: int, config: str = "page: 10", *, text: str = "x", load: str = "columns: {n: integer}", more: str = ""
) -> Pipeline:
    """Of one revision, whatever it says: what differs between the tries of a run stands for the source behind it."""
    made = loads(SPEC.format(count=count, config=config, text=text, load=load, more=more), "numbers.yaml")
    return made.model_copy(update={"revision": "numbers"})


@pytest.fixture
def lab(database: str, tmp_path: Path) -> Iterator[Lab]:
    with Store.open(lambda name: from_environment(name, {}), tmp_path) as store:
        yield Lab(database, store)


def texts(lab: Lab) -> list[tuple[str, int]]:
    with psycopg.connect(lab.dsn) as connection:
        return connection.execute("select s, count(*) from numbers group by s order by s").fetchall()


def test_every_run_brings_everything_anew(lab: Lab) -> None:
    assert lab.run(replacing(100)).records == 100
    assert lab.run(replacing(90, text="y")).records == 90
    assert texts(lab) == [("y", 90)]
    assert lab.numbers() == list(range(90))


@pytest.mark.parametrize("key", ["key: [n]", "columns: {n: integer}"], ids=["keyed", "no key"])
def test_a_later_try_of_the_run_goes_on_and_the_end_shows_it(lab: Lab, key: str) -> None:
    lab.run(replacing(60, load=key))
    for fail_at in (50, 80):
        with pytest.raises(RunFailed, match="the cable is out"):
            lab.run(replacing(100, f"page: 10, fail_at: {fail_at}", text="y", load=key), run_id="one")
        assert texts(lab) == [("x", 60)]
    outcome = lab.run(replacing(100, text="y", load=key), run_id="one")
    assert (outcome.records, outcome.steps["numbers"].records_in) == (20, 100)
    assert texts(lab) == [("y", 100)]
    assert lab.numbers() == list(range(100))


def test_another_run_begins_at_the_start_and_without_the_rows_of_the_one_that_failed(lab: Lab) -> None:
    with pytest.raises(RunFailed):
        lab.run(replacing(100, "page: 10, fail_at: 50"))
    assert lab.run(replacing(100, text="y")).records == 100
    assert texts(lab) == [("y", 100)]


def test_a_run_that_goes_on_with_the_rows_of_another_would_be_seen(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: it takes over whatever shadow there is."""
    monkeypatch.setattr(running, "_under_way", lambda run, writer, checkpoint, _: writer.target() is not None)
    with pytest.raises(RunFailed):
        lab.run(replacing(100, "page: 10, fail_at: 50"))
    lab.run(replacing(100, text="y"))
    assert texts(lab) == [("x", 50), ("y", 50)]


def test_a_table_swapped_in_by_its_name_would_show_half(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: a rename. A repeatable read that began in the middle of the load finds half of the new rows."""

    def by_name(self: Shadow, session: Session) -> int:
        session.execute("drop table numbers")
        session.execute(f"alter table {self.table} rename to numbers".encode())
        return 0

    lab.run(replacing(10))
    reader = psycopg.connect(lab.dsn)
    with pytest.raises(RunFailed):
        lab.run(replacing(100, "page: 10, fail_at: 50", text="y"), run_id="one")
    reader.execute("set transaction isolation level repeatable read; select")
    monkeypatch.setattr(Shadow, "swap", by_name)
    lab.run(replacing(100, text="y"), run_id="one")
    assert reader.execute("select count(*) from numbers").fetchone() == (50,)
    reader.close()


def test_a_limit_shows_nothing(lab: Lab) -> None:
    lab.run(replacing(100))
    run = Run(pipeline="numbers", run_id="limited", connections=lab.connection)
    assert run_pipeline(replacing(100, text="y"), run, lab.store, Task(limit=80)).records == 80
    assert texts(lab) == [("x", 100)]


def test_a_stop_shows_nothing_and_a_later_try_goes_on(lab: Lab) -> None:
    lab.run(replacing(100))
    stopping = threading.Event()
    threading.Timer(0.4, stopping.set).start()
    with pytest.raises(Interrupted):
        lab.run(replacing(1000, "page: 10, pause: 0.05", text="y"), stopping=stopping, run_id="one")
    assert texts(lab) == [("x", 100)]
    assert 0 < lab.run(replacing(1000, text="y"), run_id="one").records < 1000
    assert texts(lab) == [("y", 1000)]


def test_from_the_start_again_in_the_same_run(lab: Lab) -> None:
    with pytest.raises(RunFailed):
        lab.run(replacing(100, "page: 10, fail_at: 50"), run_id="one")
    run = Run(pipeline="numbers", run_id="one", connections=lab.connection)
    run_pipeline(replacing(100, text="y"), run, lab.store, Task(full=True))
    assert texts(lab) == [("y", 100)]


def test_a_run_that_is_tried_again_after_its_end_does_no_harm(lab: Lab) -> None:
    for text in ("x", "y"):
        assert lab.run(replacing(100, text=text), run_id="one").records == 100
    assert texts(lab) == [("y", 100)]


@pytest.mark.parametrize(
    ("more", "count", "message"),
    [
        ("expect: {min_records: 95}", 90, "expect.min_records says 95"),
        ("", 40, r"40 rows where 100 are.*`shrink: true`"),
        ("", 0, r"the source gave no rows.*`shrink: true`"),
    ],
)
def test_what_a_run_must_bring_is_judged_before_it_is_shown(lab: Lab, more: str, count: int, message: str) -> None:
    lab.run(replacing(100))
    with pytest.raises(StopRun, match=message):
        lab.run(replacing(count, more=more, text="y"), run_id="one")
    assert texts(lab) == [("x", 100)]
    if not more:  # cleared, after the source was put right
        lab.run(replacing(100, text="z"), run_id="one")
        assert texts(lab) == [("z", 100)]


def test_rejects_above_the_budget_show_nothing(lab: Lab) -> None:
    lab.run(replacing(100))
    with psycopg.connect(lab.dsn) as connection:
        connection.execute("alter table numbers add check (s = 'x' or n < 90)")
    with pytest.raises(StopRun, match=r"10 of 100 records were rejected, rejects.max allows 1%"):
        lab.run(replacing(100, text="y", more="rejects: {max: 1%}"))
    assert texts(lab) == [("x", 100)]


def test_a_source_that_begins_again_is_read_to_its_end_once(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Numbers, "begins_again", lambda self: True)
    monkeypatch.setattr(Shadow, "swap", _killed)
    with pytest.raises(RunFailed):
        lab.run(replacing(100), run_id="one")
    monkeypatch.undo()
    monkeypatch.setattr(Numbers, "begins_again", lambda self: True)
    lab.run(replacing(100), run_id="one")
    assert lab.numbers() == list(range(100))


def _killed(self: Shadow, session: Session) -> int:
    raise RunFailed("killed before the swap")


def test_the_example_runs(lab: Lab) -> None:
    text = (ROOT / "dags" / "pipelines" / "exchange_rates.yaml").read_text()
    for _ in range(2):
        outcome = lab.run(loads(text, "exchange_rates.yaml"))
        assert (outcome.records, outcome.rejected) == (4, 1)
    with psycopg.connect(lab.dsn) as connection:
        found = connection.execute("select currency, rate::text from exchange_rates order by currency").fetchall()
    assert found == [("GBP", "0.861600"), ("JPY", "160.120000"), ("USD", "1.086500")]
