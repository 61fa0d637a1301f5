"""Ledger and rejects, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from cryptography.fernet import Fernet

from airflow_datahub.contract import Stream
from airflow_datahub.environment import connection
from airflow_datahub.state import Counters, Reject, Which
from airflow_datahub.state.sealing import RECORD_LIMIT
from airflow_datahub.state.store import Store
from airflow_datahub.state.texts import TEXT_LIMIT

EVENTS = Stream("events", "extract>load")


def reject(position: int = 0, record: Any = None, **fields: Any) -> Reject:
    """A reject of the step `tidy`."""
    values = {"step": "tidy", "operator": "parse_date", "field": "at", "reason": "no date"} | fields
    return Reject(position, record=record, **values)


def add(
    store: Store, version: int, owner: str, *positions: int, stream: Stream = EVENTS, provisional: bool = True
) -> None:
    """Rejects that only their position tells apart."""
    rejects = [reject(each, {"id": each}) for each in positions]
    store.add_rejects(stream, owner, "run-1", "abc", version, rejects, provisional=provisional)


def states(store: Store) -> dict[int, str]:
    """The state of each reject, by position."""
    return {row.position: row.state for row in store.rejects(state=None)}


def test_a_run_goes_through_its_life(store: Store) -> None:
    before = datetime.now(UTC)
    store.begin("events", "run-1", "abc", "manual")
    row = store.run("events", "run-1")
    assert row
    assert (row.state, row.tries, row.revision, row.trigger) == ("running", 1, "abc", "manual")
    assert (row.ended_at, row.error) == (None, None)
    assert before <= row.started_at <= datetime.now(UTC)
    store.end("events", "run-1", "failed", "the server\x00 said \ud800no")
    failed = store.run("events", "run-1")
    assert failed
    assert (failed.state, failed.error) == ("failed", "the server\\x00 said \\ud800no")
    assert failed.ended_at
    assert failed.ended_at >= failed.started_at
    assert failed.ended_at.utcoffset() == timedelta(0)


def test_another_try_of_a_run_is_counted_and_forgets_the_error(store: Store) -> None:
    store.begin("events", "run-1", "abc", "manual")
    store.end("events", "run-1", "interrupted", "stopped")
    first = store.run("events", "run-1")
    store.begin("events", "run-1", "def", "manual")
    again = store.run("events", "run-1")
    assert first
    assert again
    assert (again.tries, again.state, again.revision, again.error, again.ended_at) == (2, "running", "abc", None, None)
    assert again.started_at == first.started_at


def test_runs_are_listed_the_newest_first(store: Store) -> None:
    for number in range(4):
        store.begin("events" if number % 2 else "orders", f"run-{number}", "abc", "cli")
    assert [row.run_id for row in store.runs()] == ["run-3", "run-2", "run-1", "run-0"]
    assert [row.run_id for row in store.runs("events")] == ["run-3", "run-1"]
    assert [row.run_id for row in store.runs(limit=1)] == ["run-3"]
    assert store.runs("nothing") == []
    assert store.run("events", "run-0") is None


def test_the_end_of_a_run_that_never_began_is_a_mistake(store: Store) -> None:
    with pytest.raises(LookupError, match="'run-9'"):
        store.end("events", "run-9", "success")


def test_steps_keep_the_last_absolute_values_in_their_order(store: Store) -> None:
    counters = Counters(*range(1, 16))
    store.save_steps("events", "run-1", {"z": Counters(records_in=1), "a": Counters()})
    store.save_steps("events", "run-1", {"z": counters, "a": Counters(bytes=2**40), "m": Counters()})
    store.save_steps("events", "run-2", {"z": Counters()})
    store.save_steps("events", "run-2", {})
    assert list(store.steps("events", "run-1").items()) == [
        ("z", counters),
        ("a", Counters(bytes=2**40)),
        ("m", Counters()),
    ]
    assert store.steps("events", "run-3") == {}


def test_a_reject_comes_back_as_it_was(store: Store) -> None:
    record = {"id": 2**70, "at": math.inf, "price": Decimal("1.10"), "text": "\x00\ud800😀", "deep": [{"a": None}]}
    store.add_rejects(EVENTS, "me", "run-1", "abc", 7, [reject(3, record)], provisional=False)
    (row,) = store.rejects()
    assert (row.record, row.unreadable, row.truncated) == (record, None, False)
    assert (row.pipeline, row.stream, row.scope, row.version, row.owner) == ("events", "extract>load", "", 7, "me")
    assert (row.position, row.state, row.run_id, row.revision) == (3, "open", "run-1", "abc")
    assert (row.step, row.operator, row.field, row.reason) == ("tidy", "parse_date", "at", "no date")
    assert datetime.now(UTC) - row.created_at < timedelta(minutes=1)


def test_hostile_texts_and_missing_ones_are_stored(store: Store) -> None:
    rejects = [
        reject(0, "not\x00json", field="a\x00b\udfff", reason="x" * 10_000),
        reject(1, None, operator=None, field=None),
    ]
    store.add_rejects(EVENTS, "me", "run-1", "abc", 1, rejects, provisional=False)
    second, first = store.rejects()
    assert (first.field, first.record) == ("a\\x00b\\udfff", "not\x00json")
    assert first.reason == "x" * TEXT_LIMIT + "…"
    assert (second.operator, second.field, second.record, second.unreadable) == (None, None, None, None)


def test_a_record_above_the_limit_leaves_its_position(store: Store) -> None:
    rejects = [reject(5, {"text": "x" * RECORD_LIMIT}), reject(6, {"id": 6})]
    store.add_rejects(EVENTS, "me", "run-1", "abc", 1, rejects, provisional=False)
    small, large = store.rejects()
    assert (large.position, large.record, large.truncated) == (5, None, True)
    assert large.unreadable
    assert "above the limit of 10 MiB" in large.unreadable
    assert (small.record, small.truncated) == ({"id": 6}, False)


def test_rejects_are_found_by_what_they_belong_to(store: Store) -> None:
    other = Stream("orders", "extract>load")
    store.add_rejects(EVENTS, "me", "run-1", "abc", 1, [reject(1), reject(2, step="load")], provisional=False)
    store.add_rejects(EVENTS, "me", "run-2", "abc", 2, [reject(3)], provisional=False)
    store.add_rejects(other, "me", "run-1", "abc", 1, [reject(4)], provisional=False)
    add(store, 3, "me", 5)

    def found(**by: Any) -> list[int]:
        return [row.position for row in store.rejects(**by)]

    assert found() == [4, 3, 2, 1]
    assert found(pipeline="events") == [3, 2, 1]
    assert found(pipeline="events", which=Which(run_id="run-1", step="load")) == [2]
    assert found(state="provisional") == [5]
    assert found(state=None, limit=2) == [5, 4]


def test_a_changed_key_costs_the_records_alone(shared: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.open() as store:
        add(store, 1, "me", 1, provisional=False)
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", Fernet.generate_key().decode())
    with Store.open() as store:
        add(store, 2, "me", 2, provisional=False)
        new, old = store.rejects()
    assert (new.record, new.unreadable) == ({"id": 2}, None)
    assert (old.record, old.reason, old.truncated) == (None, "no date", False)
    assert old.unreadable
    assert "key that is not configured" in old.unreadable


def test_records_are_nowhere_in_the_clear(store: Store, opener: Callable[[], Store]) -> None:
    store.add_rejects(EVENTS, "me", "run-1", "abc", 1, [reject(0, {"name": "Ada Lovelace"})], provisional=False)
    with store._database.reading() as reading:
        sealed = reading.exec_driver_sql("select record from datahub_reject").scalar_one()
    assert b"Ada" not in sealed
    assert len(sealed) > 50


def test_ten_thousand_rejects_are_kept_in_one_call(store: Store) -> None:
    rejects = [reject(i, {"id": i, "text": "x" * 200, "nested": {"a": [1, 2, None]}}) for i in range(10_000)]
    store.add_rejects(EVENTS, "me", "run-1", "abc", 1, rejects, provisional=True)
    store.confirm(EVENTS, 1, "me")
    assert len(store.rejects(limit=20_000)) == 10_000


def test_rejects_open_once_their_commit_is_durable(store: Store) -> None:
    add(store, 1, "me", 1, 2)
    add(store, 1, "zombie", 3)
    add(store, 2, "me", 4)
    add(store, 1, "me", 5, stream=Stream("events", "extract>load", "interval:2024-01-01"))
    assert store.rejects() == []
    store.confirm(EVENTS, 1, "me")
    assert states(store) == {1: "open", 2: "open", 3: "provisional", 4: "provisional", 5: "provisional"}


def test_a_commit_that_is_tried_again_replaces_its_rejects(store: Store) -> None:
    add(store, 1, "me", 1, 2, 3)
    add(store, 1, "me", 1)
    store.confirm(EVENTS, 1, "me")
    add(store, 2, "me", 7)
    add(store, 2, "me")
    assert states(store) == {1: "open"}


def test_settling_opens_what_the_checkpoint_shows(store: Store) -> None:
    """The process died between its commit and the confirmation."""
    add(store, 3, "dead", 1, 2)
    assert store.settle(EVENTS, 3, "dead") == 2
    assert states(store) == {1: "open", 2: "open"}
    assert store.settle(EVENTS, 3, "dead") == 0, "a second start finds nothing to do"


def test_settling_deletes_what_was_never_committed(store: Store) -> None:
    """Another owner made that commit, or an earlier one that the checkpoint has passed."""
    add(store, 2, "dead", 1)
    add(store, 3, "dead", 2)
    add(store, 3, "winner", 3)
    assert store.settle(EVENTS, 3, "winner") == 1
    assert states(store) == {3: "open"}


def test_a_process_thought_dead_keeps_the_rejects_of_a_commit_still_to_come(store: Store) -> None:
    """Its commit of version 4 may come through after another process has settled at 3; nothing of it may be lost."""
    add(store, 4, "zombie", 1)
    store.settle(EVENTS, 3, "zombie")
    add(store, 4, "new", 2)
    store.confirm(EVENTS, 4, "zombie")
    assert states(store) == {1: "open", 2: "provisional"}
    assert store.settle(EVENTS, 4, "zombie") == 0
    assert states(store) == {1: "open"}, "the new process's commit of 4 was fenced off"


def test_what_a_dead_process_left_goes_once_another_has_passed_it(store: Store) -> None:
    add(store, 4, "dead", 1)
    assert store.settle(EVENTS, 3, "dead") == 0
    add(store, 4, "new", 2)
    store.confirm(EVENTS, 4, "new")
    assert store.settle(EVENTS, 4, "new") == 0
    assert states(store) == {2: "open"}


def test_without_a_checkpoint_nothing_opens(store: Store) -> None:
    add(store, 1, "dead", 1)
    assert store.settle(EVENTS, 0, None) == 0
    assert store.rejects() == []


def test_settling_touches_one_stream_and_nothing_that_is_open(store: Store) -> None:
    for position, other in enumerate(
        [Stream("orders", "extract>load"), Stream("events", "a>b"), Stream("events", "extract>load", "replay:1")]
    ):
        add(store, 1, "dead", position, stream=other)
    add(store, 1, "me", 8, provisional=False)
    add(store, 1, "dead", 9)
    store.settle(EVENTS, 5, "me")
    assert states(store) == {0: "provisional", 1: "provisional", 2: "provisional", 8: "open"}


def test_a_store_is_found_again(opener: Callable[[], Store]) -> None:
    with opener() as first:
        first.begin("events", "run-1", "abc", "cli")
        add(first, 1, "me", 1, provisional=False)
    with opener() as second:
        assert second.runs()[0].run_id == "run-1"
        assert second.rejects()[0].record == {"id": 1}


def test_the_environment_s_connection_is_the_default(shared: str) -> None:
    with Store.open() as by_default, Store.open(connection) as given:
        by_default.begin("events", "run-1", "abc", "cli")
        assert given.run("events", "run-1")
