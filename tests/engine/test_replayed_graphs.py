"""Rejects of a graph: each enters in the stage whose step refused it, and takes all the ways from there."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.engine.test_replays import call, rejects
from tests.world import World

SPEC = """
version: 1
retries: 0
steps:
  - key: orders
    type: extract
    adapter: inline
    config:
      rows:
        - {id: 1, amount: "x", country: DE, day: 2024-01-01}
        - {id: 2, amount: "2", country: US, day: 2024-01-02}
        - {id: 3, amount: "300", country: DE, day: never}
        - {id: null, amount: "4", country: DE, day: 2024-01-04}
        - {id: 5, amount: "500", country: FR, day: 2024-01-05}
  - {key: check, type: transform, operators: [{to_number: {field: amount}}]}
  - key: split
    type: route
    match: all
    branches: {big: {field: amount, gt: 100}, eu: {field: country, in: [DE, FR]}}
    default: reject
  - {key: marked, type: transform, operators: [{set: {field: way, value: big}}, {set: {field: day, value: null}}]}
  - {key: dated, type: transform, operators: [{set: {field: way, value: eu}}, {parse_date: {field: day}}]}
  - {key: together, type: merge}
  - key: load
    type: load
    adapter: postgres
    config:
      connection: warehouse
      table: orders
      strategy: append
      columns: {id: {type: bigint, null: false}, amount: bigint, country: text, day: timestamptz, way: text}
  - key: archive
    type: load
    adapter: postgres
    config:
      {connection: warehouse, table: archive, strategy: append, columns: {id: bigint, amount: numeric}}
edges:
  - {from: orders, to: check}
  - {from: check, to: split}
  - {from: check, to: archive}
  - {from: split, branch: big, to: marked}
  - {from: split, branch: eu, to: dated}
  - {from: marked, to: together}
  - {from: dated, to: together}
  - {from: together, to: load}
"""


def loaded(world: World) -> list[tuple[Any, ...]]:
    return world.query("select id, way from orders order by id, way")


def archived(world: World) -> list[Any]:
    return [row[0] for row in world.query("select id from archive order by id")]


def begun(world: World, text: str = SPEC) -> tuple[Path, dict[str, int]]:
    """A run with a reject of each kind of step; by step their ids."""
    spec = world.spec(text, "orders")
    call(world, "run", spec)
    found = {row["step"]: row["id"] for row in rejects(world)}
    assert sorted(found) == ["check", "dated", "load", "split"]
    return spec, found


def mended(world: World) -> tuple[Path, dict[str, int]]:
    spec, of = begun(world)
    call(world, "rejects", "edit", of["check"], "--set", 'amount="100.5"')
    call(world, "rejects", "edit", of["split"], "--set", "country=DE")
    call(world, "rejects", "edit", of["dated"], "--set", "day=2024-01-03")
    call(world, "rejects", "edit", of["load"], "--set", "id=4")
    return spec, of


def spooled(world: World) -> list[str]:
    return [str(path) for path in (world.home / "airflow_datahub_spool").rglob("*") if path.is_file()]


def test_each_takes_all_ways_from_where_it_was_refused(world: World) -> None:
    before = [(3, "big"), (5, "big"), (5, "eu")]
    spec, of = mended(world)
    assert loaded(world) == before
    assert archived(world) == [2, 3, 5, None]
    call(world, "rejects", "edit", of["check"], "--set", 'amount="200"')
    assert call(world, "rejects", "replay", spec, "--yes").startswith("4 replayed, 0 refused again")
    assert loaded(world) == sorted([*before, (1, "big"), (1, "eu"), (2, "eu"), (3, "eu"), (4, "eu")])
    assert archived(world) == [1, 2, 3, 5, None], "behind the step that refused it only"
    assert rejects(world) == []
    assert spooled(world) == []
    # once more, as where the store has forgotten that it was done: the sinks have not
    with sqlite3.connect(world.home / "airflow_datahub.db") as store:
        store.execute("update datahub_reject set state = 'open', replay = null")
    call(world, "rejects", "replay", spec, "--yes")
    assert len(loaded(world)) == 8
    assert len(archived(world)) == 5
    # and the position of the source is where it was: nothing new
    call(world, "run", spec)
    assert len(loaded(world)) == 8


def test_what_is_refused_on_two_ways_is_two_rejects(world: World) -> None:
    spec, of = mended(world)  # an amount of 100.5 is no bigint
    said = call(world, "rejects", "replay", spec, of["check"])
    assert said.startswith("0 replayed, 1 refused again")
    again = [row for row in rejects(world) if row["earlier"]]
    assert [(row["earlier"], row["step"], row["record"]["way"]) for row in again] == [
        (of["check"], "load", "big"), (of["check"], "load", "eu"),
    ]  # fmt: skip
    assert archived(world) == [1, 2, 3, 5, None]
    for row in again:
        call(world, "rejects", "edit", row["id"], "--set", "amount=100")
    assert call(world, "rejects", "replay", spec, *(row["id"] for row in again)).startswith("2 replayed")
    assert [row for row in loaded(world) if row[0] == 1] == [(1, "big"), (1, "eu")]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("key: dated, type: transform", "key: dated, type: transform, enabled: false", None),
        ("key: together, type: merge", "key: together, type: merge, enabled: false", "merge step 'together' is off"),
        ("strategy: append, columns", "strategy: replace, columns", "brings everything"),
    ],
)
def test_none_is_taken_where_one_would_be_lost(world: World, old: str, new: str, message: str | None) -> None:
    spec, of = begun(world)
    spec.write_text(SPEC.replace(old, new))
    done = world.call("rejects", "replay", spec, of["load"])
    assert done.returncode == (1 if message else 0)
    assert (message or "") in done.stderr
    assert len(rejects(world)) == 4


def test_what_is_off_lets_by_what_enters_behind_it(world: World) -> None:
    spec, of = mended(world)
    spec.write_text(
        SPEC.replace("key: orders\n    type: extract", "key: orders\n    enabled: false\n    type: extract")
    )
    assert call(world, "rejects", "replay", spec, of["load"], of["dated"]).startswith("2 replayed")
    assert loaded(world) == [(3, "big"), (3, "eu"), (4, "eu"), (5, "big"), (5, "eu")]


GATED = SPEC.replace("edges:", "  - {key: sure, type: gate, message: Sure?}\nedges:").replace(
    "{from: together, to: load}", "{from: together, to: sure}\n  - {from: sure, to: load}"
)


def test_a_gate_asks_where_something_comes_by(world: World) -> None:
    spec = world.spec(GATED, "orders")
    call(world, "run", spec, "--yes")
    of = {row["step"]: row["id"] for row in rejects(world)}
    call(world, "rejects", "edit", of["load"], "--set", "id=4")
    assert call(world, "rejects", "replay", spec, of["load"]).startswith("1 replayed")
    call(world, "rejects", "edit", of["split"], "--set", "country=DE")
    asked = world.call("rejects", "replay", spec, of["split"])
    assert asked.returncode == 1
    assert "a gate asks 'Sure?'" in asked.stderr
    assert [row["state"] for row in rejects(world, "--state", "replaying")] == ["replaying"]
    resume = asked.stderr.rpartition("--resume ")[2].split()[0]
    assert call(world, "rejects", "replay", spec, "--resume", resume, "--yes").startswith("1 replayed")
    assert (2, "eu") in loaded(world)


def test_what_an_operator_makes_of_one_is_applied_once_each(world: World) -> None:
    text = SPEC.replace("{to_number: {field: amount}}", "{to_number: {field: amount}}, {explode: {field: parts}}")
    text = text.replace('amount: "x", country: DE', 'amount: "x", parts: [a, b, c], country: DE')
    text = text.replace("country: text, day", "country: text, parts: text, day")
    text = text.replace("{id: bigint, amount: numeric}}", "{id: bigint, amount: numeric, parts: text}}")
    spec = world.spec(text, "orders")
    call(world, "run", spec)
    [first] = [row["id"] for row in rejects(world) if row["step"] == "check"]
    call(world, "rejects", "edit", first, "--set", 'amount="1"')
    call(world, "rejects", "replay", spec, first)
    assert world.query("select parts from orders where id = 1 order by parts") == [("a",), ("b",), ("c",)]
    assert archived(world).count(1) == 3


def test_without_any_that_is_chosen_it_says_so(world: World) -> None:
    spec, _ = begun(world)
    done = world.call("rejects", "replay", spec, "--step", "nowhere", "--yes")
    assert done.returncode == 1
    assert "none of its rejects is open and chosen" in done.stderr


def test_the_audit_says_who_replayed_what(world: World) -> None:
    from airflow_datahub.state.store import Store

    spec, of = mended(world)
    call(world, "rejects", "replay", spec, of["load"])
    with Store.open(home=world.home) as store:
        last = store.audits("orders")[0]
    assert last.act == "rejects replay"
    assert last.detail.startswith(f"reject {of['load']} by run 'replay__")
    assert "@" in last.actor
