"""Partitions through the engine: a real PostgreSQL, a real API that counts what it is asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from airflow_datahub.contract import Connection, Run
from airflow_datahub.engine import Outcome, Task, run_pipeline
from airflow_datahub.engine.partitions import Pack, cut
from airflow_datahub.engine.whole import run_whole
from airflow_datahub.environment import connection as from_environment
from airflow_datahub.errors import ConfigurationError, RunFailed, StopRun
from airflow_datahub.spec import Pipeline, loads
from airflow_datahub.state import Replay, Which
from airflow_datahub.state.store import Store
from tests.hostile import Hostile
from tests.windowed import BY_NAME, Windowed, from_source, spec

NOON = datetime(2024, 1, 5, 12, tzinfo=UTC)
DAYS = {f"2024-01-0{day}": 3 + day for day in range(1, 6)}


class Lab:
    """Runs pipelines over one API, one database and one store."""

    def __init__(self, api: Windowed, server: Hostile, dsn: str, store: Store):
        self.api, self.dsn, self.store, self.runs = api, dsn, store, 0
        extra = {"auth": "none", "allow_private": True, "retries": 0}
        self.environment = {
            "AIRFLOW_CONN_WAREHOUSE": dsn,
            "AIRFLOW_CONN_API": json.dumps(
                {"conn_type": "http", "host": f"http://127.0.0.1:{server.port}", "extra": extra}
            ),
        }

    def connection(self, connection_id: str) -> Connection:
        return from_environment(connection_id, self.environment)

    def new(self, what: Pipeline, now: datetime = NOON, run_id: str = "") -> Run:
        """A run, or another try of one."""
        self.runs += 1
        return Run(pipeline=what.id, run_id=run_id or f"run-{self.runs}", started=now, connections=self.connection)

    def run(self, text: str, now: datetime = NOON, run_id: str = "", **options: Any) -> Outcome:
        """All stages, as the command line does it."""
        what = loads(text, "daily.yaml")
        return run_whole(what, self.new(what, now, run_id), self.store, lambda message: True, **options)

    def cut(self, what: Pipeline, run: Run) -> list[Pack]:
        """What the first task hands to the mapped ones."""
        made = run_pipeline(what, run, self.store, Task(stage="partitions")).packs or []
        return [Pack.of(json.loads(json.dumps(each.as_json()))) for each in made]

    def read(self, what: Pipeline, run: Run, pack: Pack) -> Outcome:
        """What one mapped task does."""
        return run_pipeline(what, run, self.store, Task(stage="events-load", pack=pack))

    def ids(self) -> list[str]:
        with psycopg.connect(self.dsn) as connection:
            return [row[0] for row in connection.execute("select id from events order by id").fetchall()]

    def streams(self) -> dict[str, bool]:
        """The checkpoints, and whether they say that all is read."""
        with psycopg.connect(self.dsn) as connection:
            query = "select stream, counters->>'finished' = 'true' from _datahub_checkpoint order by stream"
            return {stream: bool(finished) for stream, finished in connection.execute(query).fetchall()}


@pytest.fixture
def lab(database: str, tmp_path: Path) -> Iterator[Lab]:
    api = Windowed(dict(DAYS))
    with Hostile(api) as server, Store.open(lambda name: from_environment(name, {}), tmp_path) as store:
        yield Lab(api, server, database, store)


def test_each_window_has_its_checkpoint_and_what_is_past_is_never_asked_for_again(lab: Lab) -> None:
    assert lab.run(spec()).records == sum(DAYS.values())
    assert lab.ids() == lab.api.ids
    assert lab.streams() == {f"events[{day}]>load": day < "2024-01-05" for day in DAYS}
    assert set(lab.api.counts()) == set(DAYS)
    lab.api.days["2024-01-05"] += 4
    assert lab.run(spec(), NOON + timedelta(hours=1)).records == 4
    assert set(lab.api.counts()) == {"2024-01-05"}
    assert lab.ids() == lab.api.ids


def test_a_window_is_gone_on_with_until_its_lag_is_over(lab: Lab) -> None:
    lab.run(spec())
    lab.api.counts()
    midnight = datetime(2024, 1, 6, tzinfo=UTC)
    lab.api.days["2024-01-05"] += 1
    lab.run(spec(), midnight + timedelta(minutes=30))
    assert set(lab.api.counts()) == {"2024-01-05", "2024-01-06"}
    lab.api.days["2024-01-05"] += 1
    lab.run(spec(), midnight + timedelta(hours=1))
    assert set(lab.api.counts()) == {"2024-01-05", "2024-01-06"}
    lab.api.days["2024-01-05"] += 1  # nobody asks for it any more
    assert lab.run(spec(), midnight + timedelta(hours=2)).records == 0
    assert set(lab.api.counts()) == {"2024-01-06"}
    assert len(lab.ids()) == len(lab.api.ids) - 1


def test_a_snapshot_that_is_past_is_read_once(lab: Lab) -> None:
    once = spec().replace("{type: cursor, param: cursor, next: next, more: more}", "{type: none}")
    lab.run(once)
    before = lab.ids()
    lab.api.counts()
    lab.run(once)
    assert set(lab.api.counts()) == {"2024-01-05"}
    assert len(lab.ids()) == len(before) + 3, "a snapshot that is under way is read again, as any is"


def test_one_that_fails_is_tried_again_alone(lab: Lab) -> None:
    what = loads(spec(), "daily.yaml")
    run = lab.new(what)
    packs = lab.cut(what, run)
    assert [pack.label for pack in packs] == list(DAYS)
    lab.api.fails["2024-01-03"] = 1
    for pack in packs:
        if pack.label == "2024-01-03":
            with pytest.raises(RunFailed, match="503"):
                lab.read(what, run, pack)
        else:
            lab.read(what, run, pack)
    assert lab.api.counts() == {"2024-01-01": 2, "2024-01-02": 2, "2024-01-03": 2, "2024-01-04": 3, "2024-01-05": 3}
    lab.read(what, run, packs[2])
    assert lab.api.counts() == {"2024-01-03": 1}, "what it had is not read again"
    run_pipeline(what, run, lab.store, Task(stage="commit"))
    assert lab.ids() == lab.api.ids
    row = lab.store.run("daily", run.run_id)
    assert row
    assert (row.state, row.tries) == ("success", 1)


def test_neighbours_share_a_task_and_keep_their_checkpoints(lab: Lab) -> None:
    what = loads(spec(), "daily.yaml")
    run = lab.new(what)
    (pack, other) = run_pipeline(what, run, lab.store, Task(stage="partitions", most=2)).packs or []
    assert (pack.label, other.label) == ("2024-01-01 … 2024-01-02", "2024-01-03 … 2024-01-05")
    lab.api.fails["2024-01-04"] = 1
    with pytest.raises(RunFailed):
        lab.read(what, run, other)
    lab.api.counts()
    assert lab.read(what, run, other).records == 7 - 3 + 8
    assert lab.api.counts() == {"2024-01-04": 2, "2024-01-05": 3}, "what is finished is not asked for"
    lab.read(what, run, pack)
    assert lab.ids() == lab.api.ids
    assert len(lab.streams()) == 5


@pytest.mark.parametrize(("windows", "tasks", "sizes"), [(5_000, 1_000, {5}), (1_001, 1_000, {1, 2}), (999, 999, {1})])
def test_five_thousand_windows_are_a_thousand_tasks_of_neighbours(
    lab: Lab, windows: int, tasks: int, sizes: set[int]
) -> None:
    what = loads(spec("{by: window, window: {from: 2024-01-01, to: now, size: 1m}}"), "daily.yaml")
    run = lab.new(what, datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=windows))
    packs = lab.cut(what, run)
    assert len(packs) == tasks
    parts = [pack.partitions(what, run) for pack in packs]
    assert {len(each) for each in parts} == sizes
    assert [part.key for each in parts for part in each] == [part.key for part in cut(what, run)]
    assert len(json.dumps([pack.as_json() for pack in packs])) < 200_000, "an XCom"


def test_none_is_one_empty_stage(lab: Lab) -> None:
    what = loads(spec(), "daily.yaml")
    run = lab.new(what, datetime(2023, 1, 1, tzinfo=UTC))
    (pack,) = lab.cut(what, run)
    assert pack.label == "none"
    assert lab.read(what, run, pack).records == 0
    assert lab.run(spec(), datetime(2023, 1, 1, tzinfo=UTC)).skipped is None


@pytest.mark.parametrize(
    ("partition", "keys"),
    [
        ("{by: list, list: [2024-01-01, 2024-01-04]}", ["2024-01-01", "2024-01-04"]),
        ("{by: range, range: {from: 1, to: 7, size: 3}}", ["1-3", "4-6", "7-7"]),
    ],
)
def test_what_has_no_end_in_time_goes_on_in_every_run(lab: Lab, partition: str, keys: list[str]) -> None:
    lab.api.days |= dict.fromkeys(keys, 2)
    text = spec(partition, BY_NAME)
    assert lab.run(text).records == 2 * len(keys)
    assert lab.streams() == {f"events[{key}]>load": False for key in keys}
    lab.api.days[keys[0]] += 1
    lab.api.counts()
    assert lab.run(text).records == 1
    assert lab.api.counts() == dict.fromkeys(keys, 1)


def test_those_that_a_source_names_are_handed_over(lab: Lab) -> None:
    text = from_source("{by: source}", "Shelves", "{shelves: {a: 2, b: 3}}")
    what = loads(text, "daily.yaml")
    run = lab.new(what)
    packs = lab.cut(what, run)
    assert [[each.key for each in pack.given or ()] for pack in packs] == [["a"], ["b"]]
    gone = loads(text.replace("{a: 2, b: 3}", "{}"), "daily.yaml").model_copy(update={"revision": what.revision})
    assert [lab.read(gone, run, pack).records for pack in packs] == [0, 0], "they are not named a second time"
    assert lab.run(text).records == 5
    assert lab.streams() == {"events[a]>load": False, "events[b]>load": False}
    lab.run(text.replace("b: 3", "c: 1"), full=False)
    assert set(lab.streams()) == {"events[a]>load", "events[b]>load", "events[c]>load"}
    with pytest.raises(ConfigurationError, match="names one partition twice"):
        lab.run(text.replace("{a: 2, b: 3}", "{a: 2, A: 3}"))


def test_the_ledger_counts_by_partition_and_all_together(lab: Lab) -> None:
    lab.run(spec(), run_id="one")
    counted = lab.store.partitions("daily", "one")
    assert {key: steps["load"].inserted for key, steps in counted.items()} == DAYS
    assert lab.store.steps("daily", "one")["events"].records_in == sum(DAYS.values())


def test_records_are_expected_of_all_together(lab: Lab) -> None:
    with pytest.raises(StopRun, match=r"gave 30 records, expect.min_records says 31"):
        lab.run(spec(head="expect: {min_records: 31}"))


CHECK = "  - {key: check, type: validate, rules: [{name: other, ensure: {field: day, ne: 2024-01-01}}]}\n"


def test_a_share_of_rejects_is_judged_at_the_end_by_all_together(lab: Lab) -> None:
    refusing = spec(head="rejects: {max: 10%}").replace("  - key: load\n", CHECK + "  - key: load\n")
    with pytest.raises(StopRun, match=r"4 of 30 records were rejected, rejects.max allows 10%"):
        lab.run(refusing)
    assert len(lab.ids()) == 26
    lab.run(refusing.replace("10%", "20%"), full=True)


def test_rejects_of_a_partition_are_replayed(lab: Lab) -> None:
    refusing = spec(load="key: [id]").replace("  - key: load\n", CHECK + "  - key: load\n")
    lab.run(refusing)
    assert len(lab.ids()) == 26
    mended = loads(refusing.replace("ne: 2024-01-01", "ne: never"), "daily.yaml")
    replay = replace(lab.new(mended), trigger="replay")
    lab.api.counts()
    run_whole(mended, replay, lab.store, lambda message: True, replay=Replay(Which(), "me"))
    assert lab.ids() == lab.api.ids
    assert not lab.api.counts()
    row = lab.store.run("daily", replay.run_id)
    assert row
    assert row.state == "success"


def test_one_alone_a_limit_and_all_again(lab: Lab) -> None:
    assert lab.run(spec(), partition="2024-01-02").records == 5
    with pytest.raises(ConfigurationError, match=r"no partition '2024-01-2'; did you mean '2024-01-02'\?; there are 5"):
        lab.run(spec(), partition="2024-01-2")
    lab.api.counts()
    assert lab.run(spec(), partition="2024-01-02").records == 0
    assert lab.api.counts() == {}
    assert lab.run(spec(), limit=7).records == 7
    assert list(lab.streams().values()) == [True, True, False]
    lab.run(spec())
    assert lab.ids() == lab.api.ids
    assert lab.run(spec(), full=True).records == 30


def test_a_run_that_is_off_asks_for_nothing(lab: Lab) -> None:
    outcome = lab.run(spec().replace("  - key: load", "  - key: load\n    enabled: false"), run_id="off")
    assert outcome.skipped
    row = lab.store.run("daily", "off")
    assert row
    assert row.state == "skipped"
    assert not lab.api.asked


def test_a_source_that_asks_for_something_else_is_refused_in_each(lab: Lab) -> None:
    lab.run(spec())
    with pytest.raises(ConfigurationError, match="what the source asks for has changed"):
        lab.run(spec().replace("path: /events", "path: /others"))


def test_two_at_once_that_write_the_same_keys_do_not_fail(lab: Lab) -> None:
    """Each in an order of its own: without care they wait for one another."""
    config, load = "{count: 20000, key: '{{ partition.key }}'}", "key: [id], strategy: upsert"
    text = from_source("{by: list, list: [up, down]}", "Crossing", config, load)
    what = loads(text, "daily.yaml")
    run = lab.new(what)
    failed: list[BaseException] = []

    def read(pack: Pack) -> None:
        try:
            lab.read(what, run, pack)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=read, args=(pack,)) for pack in lab.cut(what, run)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(lab.ids()) == 20_000
    said = [line.event for line in lab.store.logs.of("daily", run.run_id, ["warning"], 1000)]
    assert "commit_repeated" not in said
