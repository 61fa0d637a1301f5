"""Hooks: code around steps and code that is told, as functions and as webhooks, in whole runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.hostile import Asked, Hostile, Reply, reply
from tests.http.asking import FAST
from tests.world import World

SPEC = """
version: 1
retries: 0
HOOKS
steps:
  - {key: numbers, type: extract, adapter: inline, config: {rows: [{id: 1}, {id: 2}, {id: 3}, {id: 4}, {id: null}]}}
  - {key: tidy, type: transform, operators: [{set: {field: tidied, value: true}}]}
  - {key: load, type: load, adapter: postgres, config: {connection: warehouse, table: hooked, key: [id]}}
"""
HERE = "tests.engine.hooked"


def spec_of(world: World, hooks: str) -> Path:
    world.environment["HOOKED"] = str(world.home / "hooked.jsonl")
    return world.spec(SPEC.replace("HOOKS", hooks), "numbers")


def told(world: World) -> list[dict[str, Any]]:
    file = world.home / "hooked.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.mark.parametrize(
    ("side", "step"), [("after", "numbers"), ("before", "tidy"), ("after", "tidy"), ("before", "load")]
)
def test_what_a_hook_has_refused_is_replayed_from_there(world: World, side: str, step: str) -> None:
    every: dict[str, dict[str, list[str]]] = {
        "before": {"tidy": ["mark"], "load": ["mark"]}, "after": {"numbers": ["mark"], "tidy": ["mark"]}
    }  # fmt: skip
    every[side][step].append("choose")
    hooks = {
        where: {key: [{"python": f"{HERE}:{name}"} for name in names] for key, names in steps.items()}
        for where, steps in every.items()
    }
    spec = spec_of(world, f"hooks: {json.dumps(hooks)}")
    assert world.call("run", spec).returncode == 0
    hooked, refused = (
        json.loads(world.call("rejects", "list", *which, "--json").stdout)["id"]
        for which in (("--operator", f"hooks.{side}"), ("--reason", "key 'id'"))
    )
    assert world.call("rejects", "edit", hooked, "--set", "id=6").returncode == 0
    assert world.call("rejects", "edit", refused, "--set", "id=7").returncode == 0
    done = world.call("rejects", "replay", spec, "--yes")
    assert done.returncode == 0, done.stderr
    trace = " after:numbers before:tidy after:tidy before:load"
    assert world.query("select trace, tidied from hooked where id > 5") == [(trace, True)] * 2


def test_hooks_stand_around_steps_in_order(world: World) -> None:
    both = f"[{{python: '{HERE}:mark'}}]"
    spec = spec_of(
        world, f"hooks: {{before: {{tidy: {both}, load: {both}}}, after: {{numbers: {both}, tidy: {both}}}}}"
    )
    done = world.call("run", spec)
    assert done.returncode == 0, done.stderr
    trace = " after:numbers before:tidy after:tidy before:load"
    assert world.query("select distinct trace, tidied from hooked") == [(trace, True)]


@pytest.mark.parametrize(
    ("side", "step"), [("after", "numbers"), ("before", "tidy"), ("after", "tidy"), ("before", "load")]
)
def test_a_hook_ends_and_rejects_records(world: World, side: str, step: str) -> None:
    spec = spec_of(world, f"hooks: {{{side}: {{{step}: [{{python: '{HERE}:choose'}}]}}}}")
    done = world.call("run", spec)
    assert done.returncode == 0, done.stderr
    assert world.query("select id from hooked order by id") == [(1,), (4,)]
    rejects = [json.loads(line) for line in world.call("rejects", "list", "--json").stdout.splitlines()]
    assert (step, "not today") in [(row["step"], row["reason"]) for row in rejects]
    counts = json.loads(world.call("runs", "show", "--json").stdout)["steps"][step]
    assert (counts["records_in"], counts["filtered"]) == (5, 1)


def test_what_is_behind_a_load_sees_what_was_loaded(world: World) -> None:
    spec = spec_of(world, f"hooks: {{after: {{load: [{{python: '{HERE}:see'}}]}}}}")
    assert world.call("run", spec).returncode == 0
    assert [event["ids"] for event in told(world)] == [[1, 2, 3, 4]]
    assert world.count("hooked") == 4


def test_who_wants_to_know_is_told(world: World) -> None:
    note = f"[{{python: '{HERE}:note'}}]"
    spec = spec_of(world, f"hooks: {{on: {{start: {note}, success: {note}, failure: {note}, reject: {note}}}}}")
    assert world.call("run", spec).returncode == 0
    start, reject, success = told(world)
    assert (start["event"], start["pipeline"]) == ("start", "numbers")
    assert reject["rejects"] == [{"step": "load", "operator": None, "field": "id", "reason": "key 'id' is missing"}]
    assert (success["event"], success["records"], success["rejected"]) == ("success", 5, 1)
    assert len({event["run_id"] for event in told(world)}) == 1
    world.environment["AIRFLOW_CONN_WAREHOUSE"] = "postgresql://nobody@127.0.0.1:1/none"
    assert world.call("run", spec).returncode == 1
    begun, failure = told(world)[3:]
    assert (begun["event"], failure["event"]) == ("start", "failure")
    assert "pipeline 'numbers', step 'load'" in failure["error"]


def test_who_is_told_can_spoil_nothing(world: World) -> None:
    fails = f"[{{python: '{HERE}:fails'}}]"
    spec = spec_of(world, f"hooks: {{on: {{start: {fails}, success: {fails}, reject: {fails}}}}}")
    done = world.call("run", spec)
    assert done.returncode == 0
    assert done.stderr.count("hook_failed") == 3
    assert world.count("hooked") == 4


@pytest.mark.parametrize(
    ("hooks", "code", "message"),
    [
        (
            "before: {load: [{python: 'HERE:few'}]}",
            1,
            "hook 'tests.engine.hooked:few' gave 4 for 5 records",
        ),
        ("before: {tidy: [{python: 'HERE:words'}]}", 1, "step 'tidy': hook 'tests.engine.hooked:words' gave a str"),
        (
            "after: {tidy: [{python: 'HERE:fails'}]}",
            1,
            "'tidy': hook 'tests.engine.hooked:fails': KeyError: 'oops'",
        ),
        ("before: {lod: [{python: 'HERE:see'}]}", 2, "no step 'lod'; did you mean 'load'?"),
        ("before: {numbers: [{python: 'HERE:see'}]}", 2, "gets no records: nothing comes before it"),
        ("before: {load: [{python: 'HERE:seee'}]}", 2, "has no 'seee'"),
        ("before: {load: [{python: 'no.such:see'}]}", 2, "no"),
        ("before: {load: [{}]}", 2, "takes `python` or `webhook`"),
        ("on: {ends: []}", 2, "ends"),
    ],
)
def test_wrong_hooks_are_told(world: World, hooks: str, code: int, message: str) -> None:
    done = world.call("run", spec_of(world, f"hooks: {{{hooks.replace('HERE', HERE)}}}"))
    assert done.returncode == code
    assert message in done.stdout + done.stderr
    assert world.count("hooked") == 0


def api(world: World, server: Hostile) -> None:
    extra = json.dumps({**FAST, "retries": 1, "auth": "bearer"})
    world.environment["AIRFLOW_CONN_HOOKS"] = json.dumps(
        {"conn_type": "http", "host": "127.0.0.1", "port": server.port, "password": "s3cr3t-of-hooks", "extra": extra}
    )


def test_webhooks_get_and_give_json(world: World) -> None:
    def answer(asked: Asked) -> Reply:
        given = json.loads(asked.body)
        if given["event"] == "before":
            return reply([{**each, "seen": given["step"]} for each in given["records"]])
        return reply("")

    with Hostile(answer) as server:
        api(world, server)
        before = "before: {tidy: [{webhook: {connection: hooks, path: /look}}]}"
        spec = spec_of(
            world, f"hooks: {{{before}, on: {{success: [{{webhook: {{connection: hooks, path: /done}}}}]}}}}"
        )
        done = world.call("run", spec)
    assert done.returncode == 0, done.stderr
    assert world.query("select distinct seen, tidied from hooked") == [("tidy", True)]
    assert [(asked.method, asked.path) for asked in server.asked] == [("POST", "/look"), ("POST", "/done")]
    assert server.asked[0].headers["authorization"] == "Bearer s3cr3t-of-hooks"
    assert len({asked.headers["idempotency-key"] for asked in server.asked}) == 2


def test_a_webhook_that_fails_is_tried_again_under_one_name_and_then_ends_the_run(world: World) -> None:
    with Hostile(lambda asked: reply("oops", 500)) as server:
        api(world, server)
        spec = spec_of(world, "hooks: {before: {load: [{webhook: {connection: hooks, path: /look}}]}}")
        done = world.call("run", spec)
    assert done.returncode == 1
    assert "step 'load': POST http://127.0.0.1" in done.stderr
    assert len(server.asked) == 2
    assert len({asked.headers["idempotency-key"] for asked in server.asked}) == 1
    assert world.count("hooked") == 0


def test_nothing_is_posted_where_a_redirect_leads(world: World) -> None:
    with Hostile(lambda asked: reply("", 307, location="/other")) as server:
        api(world, server)
        done = world.call(
            "run", spec_of(world, "hooks: {before: {load: [{webhook: {connection: hooks, path: /look}}]}}")
        )
    assert done.returncode == 1
    assert {asked.path for asked in server.asked} == {"/look"}


def test_functions_act_in_tests_of_a_spec(world: World) -> None:
    hooks = f"hooks: {{before: {{tidy: [{{python: '{HERE}:choose'}}, {{webhook: {{connection: none}}}}]}}}}"
    tests = (
        "tests:\n  - name: t\n    given: {numbers: [{id: 1}, {id: 2}, {id: 3}]}\n"
        "    expect: {load: [{id: 1, tidied: true}]}\n    rejects: [{step: tidy, reason: not today}]\n"
    )
    told = world.call("test", world.spec(SPEC.replace("HOOKS", hooks) + tests, "numbers"))
    assert told.returncode == 0, told.stdout
