"""Rejects that are changed, replayed, discarded and forgotten, from the command line into PostgreSQL."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

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
        - {id: 1, amount: "10", day: 2024-01-01}
        - {id: 2, amount: "x", day: 2024-01-02}
        - {id: 3, amount: "30", day: never}
        - {id: null, amount: "40", day: 2024-01-04}
        - {id: 5, amount: "50", day: 2024-01-05}
  - {key: numbers, type: transform, operators: [{to_number: {field: amount}}]}
  - key: twice
    type: transform
    operators:
      - parse_date: {field: day}
      - math: {add: [amount, 1], to: more}
  - key: load
    type: load
    adapter: postgres
    config: {connection: warehouse, table: orders, key: [id], strategy: STRATEGY, columns: COLUMNS}
"""


def spec_of(world: World, strategy: str = "insert", **changes: str) -> Path:
    columns = "{id: bigint, amount: bigint, day: timestamptz, more: bigint}"
    text = SPEC.replace("STRATEGY", strategy).replace("COLUMNS", columns)
    for old, new in changes.items():
        text = text.replace(old, new)
    if strategy == "append":
        text = text.replace("key: [id], ", "")
    return world.spec(text, "orders")


def rejects(world: World, *options: str) -> list[dict[str, Any]]:
    listed = world.call("rejects", "list", "--json", *options)
    assert listed.returncode == 0, listed.stderr
    return [json.loads(line) for line in listed.stdout.splitlines()][::-1]


def call(world: World, *arguments: object) -> str:
    done = world.call(*arguments)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def rows(world: World) -> list[tuple[Any, ...]]:
    return world.query("select id, amount, to_char(day, 'YYYY-MM-DD'), more from orders order by id, amount")


def begun(world: World, strategy: str = "insert") -> tuple[Path, list[int]]:
    """A run with its rejects: at the first step, the second one and the sink."""
    spec = spec_of(world, strategy)
    call(world, "run", spec)
    found = rejects(world)
    refused = [("numbers", "x"), ("twice", "30")] + ([("load", 40)] if strategy != "append" else [])
    order = ["numbers", "twice", "load"]
    known = sorted(((r["step"], r["record"]["amount"]) for r in found), key=lambda each: order.index(each[0]))
    assert [(step, str(amount)) for step, amount in known] == [(step, str(amount)) for step, amount in refused]
    return spec, [r["id"] for r in sorted(found, key=lambda r: order.index(r["step"]))]


def test_each_goes_on_from_the_step_that_refused_it(world: World) -> None:
    spec, (first, second, third) = begun(world)
    call(world, "rejects", "edit", first, "--set", 'amount="20"')
    call(world, "rejects", "edit", second, "--set", "day=2024-01-03")
    whole = {"id": 4, "amount": 40, "day": "2024-01-04T00:00:00Z", "more": 41}
    call(world, "rejects", "edit", third, "--record", json.dumps(whole))
    assert [row["edited"] for row in rejects(world)] == [True] * 3
    said = call(world, "rejects", "replay", spec, "--yes")
    assert said.startswith("3 replayed, 0 refused again")
    assert rows(world) == [(n, n * 10, f"2024-01-0{n}", n * 10 + 1) for n in range(1, 6)]
    assert rejects(world) == []
    assert {row["state"] for row in rejects(world, "--state", "replayed")} == {"replayed"}
    runs = [json.loads(line) for line in call(world, "runs", "list", "--json").splitlines()]
    assert runs[0]["trigger"] == "replay"
    assert runs[0]["state"] == "success"
    # and the position of the source has not moved
    assert world.query("select count(*) from _datahub_checkpoint where scope = ''") == [(1,)]
    assert world.query("select count(*) from _datahub_inbox") == [(3,)]


def test_what_is_refused_again_is_a_reject_again(world: World) -> None:
    spec, ids = begun(world)
    call(world, "rejects", "edit", ids[0], "--set", "amount=y")
    said = call(world, "rejects", "replay", spec, ids[0], ids[1])
    assert said.startswith("0 replayed, 2 refused again")
    again = rejects(world)
    assert [row["earlier"] for row in again] == [None, ids[0], ids[1]]
    assert again[1]["record"]["amount"] == "y"
    assert "y" in again[1]["reason"]
    call(world, "rejects", "edit", again[1]["id"], "--set", 'amount="20"')
    assert call(world, "rejects", "replay", spec, again[1]["id"]).startswith("1 replayed")
    assert [row[0] for row in rows(world)] == [1, 2, 5]


@pytest.mark.parametrize("strategy", ["insert", "upsert", "append"])
def test_it_writes_over_nothing_that_is_there(world: World, strategy: str) -> None:
    spec, ids = begun(world, strategy)
    world.query("insert into orders (id, amount) values (2, 999)")
    call(world, "rejects", "edit", ids[0], "--set", 'amount="20"')
    call(world, "rejects", "replay", spec, ids[0])
    assert [row[1] for row in rows(world) if row[0] == 2] == ([20, 999] if strategy == "append" else [999])


@pytest.mark.parametrize(("day", "amount"), [("2024-06-01", 999), ("2023-06-01", 20)])
def test_newer_by_tells_what_is_newer(world: World, day: str, amount: int) -> None:
    spec, ids = begun(world, "upsert, newer_by: day")
    world.query(f"insert into orders (id, amount, day) values (2, 999, '{day}')")
    call(world, "rejects", "edit", ids[0], "--set", 'amount="20"')
    call(world, "rejects", "replay", spec, ids[0])
    assert [row[1] for row in rows(world) if row[0] == 2] == [amount]


@pytest.mark.parametrize(("strategy", "day", "left"), [
    ("update", "2024-06-01", [(2, 999)]),
    ("update", "2023-06-01", [(2, 20)]),
])  # fmt: skip
def test_an_update_changes_what_is_older(world: World, strategy: str, day: str, left: list[tuple[int, int]]) -> None:
    world.query("create table orders (id bigint primary key, amount bigint, day timestamptz, more bigint)")
    world.query(f"insert into orders (id, amount, day) values (2, 999, '{day}')")
    spec = spec_of(world, f"{strategy}, newer_by: day")
    call(world, "run", spec)
    [first] = [row["id"] for row in rejects(world, "--step", "numbers")]
    call(world, "rejects", "edit", first, "--set", 'amount="20"')
    said = call(world, "rejects", "replay", spec, first)
    assert ("1 of them superseded" in said) is (left == [(2, 999)])
    assert [row[:2] for row in rows(world)] == left


@pytest.mark.parametrize(
    ("strategy", "message"),
    [("replace", "brings everything"), ("update", "without `newer_by`"), ("delete", "nothing tells whether")],
)
def test_where_a_replay_could_do_harm_it_is_refused(world: World, strategy: str, message: str) -> None:
    world.query("create table orders (id bigint primary key, amount bigint, day timestamptz, more bigint)")
    columns = {", columns: {id: bigint, amount: bigint, day: timestamptz, more: bigint}": ""}
    spec = spec_of(world, strategy, **(columns if strategy == "delete" else {}))
    call(world, "run", spec)
    refused = world.call("rejects", "replay", spec, "--yes")
    assert refused.returncode == 1
    assert message in refused.stderr
    assert {row["state"] for row in rejects(world, "--state", "all")} == {"open"}


def test_a_reject_is_replayed_once_whoever_asks_again(world: World) -> None:
    spec, ids = begun(world, "append")
    call(world, "rejects", "edit", ids[0], "--set", 'amount="20"')
    call(world, "rejects", "replay", spec, ids[0])
    refused = world.call("rejects", "replay", spec, ids[0])
    assert refused.returncode == 1
    assert f"reject {ids[0]} cannot be replayed: it is replayed by run 'replay__" in refused.stderr
    # even where the store has forgotten that it was: the sink has not
    import sqlite3

    with sqlite3.connect(world.home / "airflow_datahub.db") as store:
        store.execute("update datahub_reject set state = 'open', replay = null where id = ?", [ids[0]])
    call(world, "rejects", "replay", spec, ids[0])
    assert [row[0] for row in rows(world)] == [1, 2, 5, None]


def test_the_revision_that_refused_them_can_take_them(world: World) -> None:
    spec, ids = begun(world)
    call(world, "rejects", "edit", ids[1], "--set", "day=2024-01-03")
    spec_of(world, **{"key: twice": "key: other", "add: [amount, 1]": "add: [amount, 2]"})
    refused = world.call("rejects", "replay", spec, ids[1])
    assert refused.returncode == 1
    assert "step 'twice' has refused some of them and is not in pipeline 'orders' any more" in refused.stderr
    assert call(world, "rejects", "replay", spec, ids[1], "--revision", "original").startswith("1 replayed")
    assert (3, 30, "2024-01-03", 31) in rows(world)


def test_which_ones_can_be_chosen(world: World) -> None:
    spec, ids = begun(world)
    assert [row["id"] for row in rejects(world, "--step", "twice")] == [ids[1]]
    assert [row["id"] for row in rejects(world, "--operator", "to_number")] == [ids[0]]
    assert [row["id"] for row in rejects(world, "--reason", "key 'id'")] == [ids[2]]
    assert rejects(world, "--since", "2999-01-01") == []
    assert f"id: {ids[0]}" in call(world, "rejects", "show", ids[0])
    assert world.call("rejects", "discard", "--pipeline", "orders", "--step", "twice").returncode == 2, "asks first"
    assert (
        call(world, "rejects", "discard", "--pipeline", "orders", "--step", "twice", "--yes") == "1 reject discarded\n"
    )
    assert world.call("rejects", "replay", spec, ids[1]).returncode == 1
    out = world.home / "out.jsonl"
    call(world, "rejects", "export", "--output", out)
    assert [json.loads(line)["id"] for line in out.read_text().splitlines()] == [ids[2], ids[0]]
    assert json.loads(call(world, "rejects", "export", ids[0]))["id"] == ids[0]
    call(world, "rejects", "discard", ids[0])
    assert [row["id"] for row in rejects(world)] == [ids[2]]


def test_an_editor_shows_no_more_than_may_be_shown_and_keeps_the_rest(world: World) -> None:
    spec = spec_of(world, **{"retries: 0": "rejects: {mask: [day]}"})
    call(world, "run", spec)
    [first] = [row["id"] for row in rejects(world, "--step", "numbers")]
    seen = world.home / "seen"
    editor = world.home / "editor"
    editor.write_text(f"""#!/bin/sh\ncp "$1" {seen}\nsed -i 's/"x"/"20"/' "$1"\n""")
    editor.chmod(0o700)
    done = world.call("rejects", "edit", first, EDITOR=str(editor))
    assert done.returncode == 0, done.stderr
    assert "nothing was changed" in world.call("rejects", "edit", first, EDITOR="true").stderr
    assert "'nothing-like-it'" in world.call("rejects", "edit", first, EDITOR="nothing-like-it").stderr
    assert json.loads(seen.read_text()) == {"id": 2, "amount": "x", "day": "***"}
    call(world, "rejects", "replay", spec, first)
    assert (2, 20, "2024-01-02", 21) in rows(world)


def test_who_did_what_is_kept(world: World) -> None:
    from airflow_datahub.state.store import Store

    _, ids = begun(world)
    call(world, "rejects", "edit", ids[0], "--set", 'amount="20"')
    call(world, "rejects", "discard", ids[0])
    with Store.open(home=world.home) as store:
        discarded, edited = store.audits("orders")
    assert (discarded.act, discarded.detail) == ("rejects discard", f"reject {ids[0]}")
    assert edited.detail.startswith(f"reject {ids[0]}: amount (")
    assert "20" not in edited.detail.split(":")[1].split("(")[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["edit", "999", "--set", "a=1"], "is not there"),
        (["edit", "ID", "--set", "a=1", "--record", "{}"], "or neither"),
        (["edit", "ID", "--set", "a"], "write path=value"),
        (["edit", "ID", "--record", "{"], "no JSON"),
        (["show", "999"], "no reject 999"),
        (["discard"], "say which"),
        (["replay", "SPEC", "999"], "there is no reject 999"),
        (["replay", "SPEC"], "say --yes"),
    ],
)
def test_a_wrong_call_is_told(world: World, arguments: list[str], message: str) -> None:
    spec, ids = begun(world)
    given = [str(spec) if each == "SPEC" else str(ids[0]) if each == "ID" else each for each in arguments]
    refused = world.call("rejects", *given)
    assert refused.returncode in (1, 2)
    assert message in " ".join(refused.stderr.replace("│", " ").split())
    assert len(rejects(world)) == 3


def test_old_ones_are_forgotten(world: World) -> None:
    import sqlite3

    begun(world)
    with sqlite3.connect(world.home / "airflow_datahub.db") as store:
        store.execute("update datahub_reject set created_at = '2020-01-01 00:00:00' where step = 'twice'")
    call(world, "run", spec_of(world, **{"retries: 0": "rejects: {keep: 30d}"}))
    assert {row["step"] for row in rejects(world)} == {"numbers", "load"}
