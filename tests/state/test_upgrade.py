"""A store of an older schema, brought up to date without loss, by one process or by many at once."""

from __future__ import annotations

import multiprocessing
from dataclasses import asdict
from datetime import UTC, datetime
from multiprocessing.synchronize import Barrier

import pytest

from airflow_datahub.contract import Stream
from airflow_datahub.errors import ConfigurationError
from airflow_datahub.state import Counters, Reject
from airflow_datahub.state.logs import LogLine
from airflow_datahub.state.replays import EVERY
from airflow_datahub.state.store import Store, located
from airflow_datahub.state.tables import SCHEMA_VERSION, prepare, version
from airflow_datahub.state.upkeep import size
from tests.state.conftest import Opener

FORK = multiprocessing.get_context("fork")
STEP = ", ".join(("pipeline", "run_id", "step", "place", *asdict(Counters())))
WITHOUT = {
    2: "drop table datahub_audit",
    3: "drop table datahub_revision",
    4: ";".join(f"alter table datahub_run drop column {name}" for name in ("mask", "dag", "task")),
    5: "drop table datahub_checkpoint",
    6: "drop table datahub_log",
    7: "drop index datahub_reject_of_replay;"
    + ";".join(f"alter table datahub_reject drop column {name}" for name in ("replay", "earlier", "original")),
    8: f"create table before as select {STEP} from datahub_step; drop table datahub_step;"
    "alter table before rename to datahub_step",
}
"""What takes away what a schema added."""


def aged(opener: Opener, schema: int) -> None:
    """Make the test's store with something in it, then take away what later schemas added."""
    with opener() as store:
        store.begin("events", "run-1", "abc", "cli")
        rejects = [Reject(0, "extract", None, None, "bad", {"id": 1})]
        store.add_rejects(Stream("events", "a>b"), "me", "run-1", "abc", 1, rejects, provisional=False)
        store.audit("me", "checkpoint set", "events", "from here to there")
        store.save_steps("events", "run-1", {"extract": Counters(records_in=3)})
        with store._database.writing() as writing:
            writing.exec_driver_sql("delete from datahub_schema")
            writing.exec_driver_sql(f"insert into datahub_schema values ({schema})")
            for number, statement in sorted(WITHOUT.items(), reverse=True):
                if number > schema:
                    for each in statement.split(";"):
                        writing.exec_driver_sql(each)


def check(store: Store, schema: int) -> None:
    """All of what was in the store of that schema is there, and what it lacked works."""
    assert [row.run_id for row in store.runs()] == ["run-1"]
    assert [row.record for row in store.rejects()] == [{"id": 1}]
    assert [row.actor for row in store.audits()] == (["me"] if schema >= 2 else [])
    store.audit("you", "checkpoint set", "events", "back")
    store.save_steps("events", "run-1", {"extract": Counters(records_in=2)}, partition="de")
    assert store.steps("events", "run-1") == {"extract": Counters(records_in=5)}
    assert list(store.partitions("events", "run-1")) == ["de"]
    store.revisions.keep("events", "abc", "version: 1")
    assert [row.text for row in store.revisions.all("events")] == ["version: 1"]
    assert store.positions.of("events") == []
    store.logs.add("events", "run-1", [LogLine(datetime.now(UTC), "info", "page", {})], prune=True)
    assert [line.event for line in store.logs.of("events", "run-1")] == ["page"]
    assert store.replays.take("events", "replay-1", EVERY, "me") == 1
    assert [row.record for row in store.replays.taken("events", "replay-1", ["extract"], 0, 10)] == [{"id": 1}]


@pytest.mark.parametrize("schema", [1, 2, 3, 4, 5, 6, 7])
def test_an_older_store_is_brought_up_to_date(opener: Opener, schema: int) -> None:
    aged(opener, schema)
    assert version(located()) == schema
    with opener() as store:
        check(store, schema)
    assert version(located()) == SCHEMA_VERSION


def test_six_processes_upgrade_at_once(opener: Opener) -> None:
    aged(opener, 1)
    together = FORK.Barrier(6)

    def work(together: Barrier) -> None:
        together.wait(20)
        opener().close()

    children = [FORK.Process(target=work, args=(together,)) for _ in range(6)]
    for child in children:
        child.start()
    for child in children:
        child.join(30)
    assert [child.exitcode for child in children] == [0] * 6
    with opener() as store:
        check(store, 1)
        with store._database.reading() as reading:
            found = reading.exec_driver_sql("select version from datahub_schema order by 1").scalars().all()
    assert found == [1, SCHEMA_VERSION], "one of them upgraded"


def test_an_upgrade_that_fails_leaves_the_store_as_it_was(opener: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    aged(opener, 1)
    from airflow_datahub.state import tables

    def broken(connection: object) -> None:
        raise ConfigurationError("no room")

    monkeypatch.setitem(tables._STEPS, 3, broken)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="no room"):
        prepare(located())
    found = size(located())
    assert (found.schema, "datahub_audit" in found.rows) == (1, False)


def test_the_size_of_a_store(opener: Opener) -> None:
    assert size(located()).schema is None
    aged(opener, 3)
    found = size(located())
    assert (found.schema, found.rows["datahub_run"], found.rows["datahub_revision"]) == (3, 1, 0)
    assert found.bytes > 1_000
