"""`airflow-datahub checkpoint`: what it shows, what it moves, and who loses by it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from subprocess import CompletedProcess
from typing import Any

import pytest

from airflow_datahub.cli import main
from airflow_datahub.contract import Run
from airflow_datahub.engine import Task, run_pipeline
from airflow_datahub.environment import connection
from airflow_datahub.errors import ConfigurationError
from airflow_datahub.spec import load
from airflow_datahub.state.store import Store
from tests.world import EVENTS, EVENTS_ALONE, World

Call = Callable[..., CompletedProcess[str]]


@pytest.fixture
def call(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run a command as the console script does, in this process: these tests run many."""
    for name, value in world.environment.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: object) -> CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["airflow-datahub", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        return CompletedProcess(arguments, int(left.value.code or 0), *capsys.readouterr())

    return run


def shown(call: Call, spec: object = EVENTS) -> dict[str, Any]:
    """The only checkpoint of a pipeline."""
    (line,) = call("checkpoint", "show", spec, "--json").stdout.splitlines()
    return dict(json.loads(line))


def test_show_says_where_the_pipeline_stands(call: Call, world: World) -> None:
    assert "no checkpoint" in call("checkpoint", "show", EVENTS).stdout
    call("run", EVENTS, "--limit", 1_500)
    row = shown(call)
    assert row["stream"] == "extract>load"
    assert (row["scope"], row["skip"], row["target"]) == ("", 500, "public.ingested_events")
    assert (row["fingerprint"], row["format"], row["belongs_to"]) == ("ok", 1, "this spec")
    assert row["counters"]["steps"]["extract"]["records_in"] == 1_500
    lines = call("checkpoint", "show", EVENTS).stdout.splitlines()
    assert f"cursor: {row['cursor']}" in lines
    assert f"version: {row['version']}" in lines


def test_reset_starts_over_and_is_kept_in_the_audit(call: Call, world: World) -> None:
    call("run", EVENTS, "--limit", 1_500)
    before = shown(call)
    reset = call("checkpoint", "reset", EVENTS)
    assert reset.returncode == 0, reset.stderr
    assert reset.stdout == f"the next run begins at the start (version {before['version'] + 1})\n"
    row = shown(call)
    assert (row["version"], row["cursor"], row["skip"], row["counters"]) == (before["version"] + 1, None, 0, {})
    assert "complete: 10,000 records" in call("run", EVENTS).stderr
    assert shown(call)["version"] > row["version"]
    with Store.open(lambda name: connection(name, {}), world.home) as store:
        (act,) = store.audits("datasync_events")
    assert act.act == "checkpoint reset"
    assert f'"version": {before["version"]}' in act.detail
    assert act.actor


def test_set_rewinds_to_a_cursor_and_a_record_behind_it(call: Call, world: World) -> None:
    call("run", EVENTS, "--limit", 2_000)
    cursor = shown(call)["cursor"]
    call("run", EVENTS)
    moved = call("checkpoint", "set", EVENTS, "--cursor", json.dumps(cursor), "--skip", 400)
    assert moved.returncode == 0, moved.stderr
    again = call("run", EVENTS)
    assert "complete: 7,600 records" in again.stderr, again.stderr
    assert "position_lost" not in again.stderr
    assert world.count() == world.api.stats()["unique"]


def test_a_changed_source_is_refused_with_three_ways_out_that_work(call: Call, world: World) -> None:
    call("run", EVENTS, "--limit", 2_000)
    spec = world.spec(EVENTS_ALONE.replace('query: {since: "{{ params.since }}"}', ""))
    refused = call("run", spec)
    assert refused.returncode == 1
    for way in ("checkpoint set", "--cursor", "checkpoint reset", "--full"):
        assert way in refused.stderr
    assert shown(call, spec)["fingerprint"] == "changed"
    assert call("checkpoint", "set", spec).returncode == 0
    assert shown(call, spec)["fingerprint"] == "ok"
    assert "complete: 8,000 records" in call("run", spec).stderr
    assert call("run", EVENTS).returncode == 1
    assert call("checkpoint", "reset", EVENTS).returncode == 0
    assert "complete: 10,000 records" in call("run", EVENTS).stderr


def test_another_table_is_refused_until_a_person_says_how_to_go_on(call: Call, world: World) -> None:
    call("run", EVENTS, "--limit", 2_000)
    spec = world.spec(EVENTS_ALONE.replace("table: ingested_events", "table: later_events"))
    refused = call("run", spec)
    assert refused.returncode == 1
    assert "checkpoint set" in refused.stderr
    assert call("checkpoint", "set", spec).returncode == 0
    assert "complete: 8,000 records" in call("run", spec).stderr
    assert 0 < world.count("later_events") <= 8_000


def test_a_renamed_step_takes_its_checkpoint_over(call: Call, world: World) -> None:
    call("run", EVENTS, "--limit", 2_000)
    spec = world.spec(EVENTS_ALONE.replace("key: extract", "key: fetch"))
    none = call("checkpoint", "set", spec)
    assert none.returncode == 1
    assert "no checkpoint of the stream 'fetch>load'" in none.stderr
    assert "'extract>load'" in none.stderr
    taken = call("checkpoint", "set", spec, "--from-stream", "extract>load")
    assert taken.returncode == 0, taken.stderr
    assert "complete: 8,000 records" in call("run", spec).stderr
    assert "complete: 10,000 records" in call("run", EVENTS).stderr  # the old one starts over


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["set", "--cursor", "abc"], 2, "is not JSON"),
        (["set", "--skip", "-1"], 2, "--skip"),
        (["set", "--from-stream", "x>y"], 1, "no checkpoint of the stream 'x>y'"),
        (["set"], 1, "no checkpoint"),
        (["reset"], 1, "no checkpoint"),
    ],
)
def test_what_cannot_be_moved(call: Call, world: World, arguments: list[str], code: int, words: str) -> None:
    verb, *more = arguments
    call = call("checkpoint", verb, EVENTS, *more)
    assert (call.returncode, words in call.stderr) == (code, True), call.stderr
    assert "Traceback" not in call.stderr


@pytest.mark.parametrize("verb", ["show", "set", "reset"])
def test_a_sink_without_checkpoints(call: Call, world: World, verb: str) -> None:
    call = call("checkpoint", verb, EVENTS.parent / "try_it.yaml")
    assert call.returncode == 1
    assert "keeps no checkpoint" in call.stderr


def test_a_damaged_checkpoint_is_refused_shown_and_put_right(call: Call, world: World) -> None:
    call("run", EVENTS, "--limit", 1_000)
    cursor = shown(call)["cursor"]
    world.query("""update _datahub_checkpoint set cursor = '{"at": 1}'""")
    refused = call("run", EVENTS)
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    assert "checkpoint reset" in refused.stderr
    assert "step 'load'" in refused.stderr
    assert "missing required field" in shown(call)["damage"]
    assert "give --cursor" in call("checkpoint", "set", EVENTS).stderr
    assert call("checkpoint", "set", EVENTS, "--cursor", json.dumps(cursor)).returncode == 0
    assert "complete: 9,000 records" in call("run", EVENTS).stderr
    assert world.count() == world.api.stats()["unique"]


@pytest.mark.parametrize("steps", ['{"extract": 5}', '{"extract": {"records_in": "many"}}', "[]"])
def test_counters_of_another_shape_are_refused_where_they_count(call: Call, world: World, steps: str) -> None:
    """They count over all tries of a run, so only another try of the same run reads them."""
    run = Run(pipeline="datasync_events", run_id="again", connections=lambda name: connection(name, world.environment))
    with Store.open(lambda name: connection(name, {}), world.home) as store:
        run_pipeline(load(EVENTS), run, store, Task(limit=1_000))
        world.query(f"""update _datahub_checkpoint set counters = '{{"run": "again", "steps": {steps}}}'""")
        with pytest.raises(ConfigurationError, match=r"counters.*checkpoint set"):
            run_pipeline(load(EVENTS), run, store)


def test_a_param_without_a_default_is_for_runs_to_give(call: Call, world: World) -> None:
    spec = world.spec(EVENTS_ALONE.replace(", default: null", ""))
    assert call("run", spec, "--limit", 10, "--param", "since=null").returncode == 0
    assert shown(call, spec)["skip"] == 10
    for act in ("set", "reset"):
        assert call("checkpoint", act, spec).returncode == 0
