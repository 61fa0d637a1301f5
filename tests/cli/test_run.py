"""`airflow-datahub run` against a real API and a real database."""

from __future__ import annotations

import json
import re

import pytest

from tests.world import EVENTS, EVENTS_ALONE, World, http_connection

LAST_LINE = re.compile(r"ingestion complete: 10,000 records in \d+\.\d\d s \([\d,]+/s\), 0 rejected")


def test_the_events_arrive_once_and_a_second_run_brings_nothing_new(world: World) -> None:
    first = world.call("run", EVENTS)
    assert first.returncode == 0, first.stderr
    assert LAST_LINE.fullmatch(first.stderr.splitlines()[-1])
    unique = world.api.stats()["unique"]
    assert world.count() == unique
    typed = "select count(distinct id), count(timestamp), count(data), count(ingested_at), max(data->>'id') is not null"
    assert world.query(f"{typed} from ingested_events") == [(unique, unique, unique, unique, True)]
    second = world.call("run", EVENTS)
    assert "ingestion complete: 0 records" in second.stderr.splitlines()[-1]
    assert world.count() == unique


def test_the_table_is_the_one_that_was_asked_for(world: World) -> None:
    assert world.call("run", EVENTS, "--limit", 10).returncode == 0
    columns = world.query(
        "select column_name, data_type, is_nullable, column_default from information_schema.columns "
        "where table_name = 'ingested_events' order by ordinal_position"
    )
    assert columns == [
        ("id", "text", "NO", None),
        ("event_type", "text", "YES", None),
        ("timestamp", "timestamp with time zone", "YES", None),
        ("data", "jsonb", "NO", None),
        ("ingested_at", "timestamp with time zone", "YES", "now()"),
    ]


def test_limit_ends_in_the_middle_of_a_page_and_the_next_run_goes_on_there(world: World) -> None:
    limited = world.call("run", EVENTS, "--limit", 1_234)
    assert "ingestion complete: 1,234 records" in limited.stderr.splitlines()[-1]
    rest = world.call("run", EVENTS)
    assert "ingestion complete: 8,766 records" in rest.stderr.splitlines()[-1]
    assert world.count() == world.api.stats()["unique"]


def test_full_reads_all_again_and_changes_nothing(world: World) -> None:
    world.call("run", EVENTS)
    before = world.query("select id, ingested_at from ingested_events order by id")
    again = world.call("run", EVENTS, "--full")
    assert "ingestion complete: 10,000 records" in again.stderr.splitlines()[-1]
    assert world.query("select id, ingested_at from ingested_events order by id") == before


def test_a_param_is_sent(world: World) -> None:
    run = world.call("run", EVENTS, "--param", "since=2026-01-01T06:00:00Z")
    assert run.returncode == 0, run.stderr
    assert 0 < world.count() < world.api.stats()["unique"]
    later = "select avg((timestamp >= '2026-01-01T06:00:00Z')::int) from ingested_events"  # some events are repeats
    assert world.query(later)[0][0] > 0.95


@pytest.mark.parametrize("given", ["since=junk", "sinc=2024-01-01T00:00:00Z", "since"])
def test_a_wrong_param_is_a_wrong_call(world: World, given: str) -> None:
    run = world.call("run", EVENTS, "--param", given)
    assert run.returncode == 2
    assert "sinc" in run.stderr


def test_offset_paging_brings_the_same(world: World) -> None:
    text = EVENTS_ALONE
    cursor = "paging: {type: cursor, param: cursor, next: nextCursor, more: hasMore, limit: 1000}"
    assert cursor in text
    spec = world.spec(text.replace(cursor, "paging: {type: offset, limit: 700}"))
    assert world.call("run", spec, "--limit", 300).returncode == 0
    rest = world.call("run", spec)
    assert " cursor=start skip=300" in rest.stderr
    assert world.count() == world.api.stats()["unique"]
    again = world.call("run", spec)
    assert "ingestion complete: 0 records" in again.stderr
    assert " cursor=10000 skip=0" in again.stderr


def test_the_stdout_sink_prints_records_and_nothing_else(world: World) -> None:
    run = world.call("run", EVENTS.parent / "try_it.yaml")
    assert run.returncode == 0
    assert [json.loads(line)["name"] for line in run.stdout.splitlines()] == ["Ada"]
    assert run.stderr.splitlines()[-1].endswith("1 rejected")


def test_rejects_are_kept_with_their_reason_and_shown(world: World) -> None:
    world.call("run", EVENTS.parent / "try_it.yaml")
    listed = world.call("rejects", "list", "--pipeline", "try_it")
    assert "to_number" in listed.stdout
    assert "Cleo" in listed.stdout
    (line,) = world.call("rejects", "list", "--json").stdout.splitlines()
    assert json.loads(line)["record"] == {"id": 3, "name": "Cleo", "amount": "many"}


def test_a_secret_is_never_shown(world: World) -> None:
    wrong = http_connection(world.api, password="s3cr3t-and-wrong")
    run = world.call("run", EVENTS, AIRFLOW_CONN_DATASYNC=wrong)
    assert run.returncode == 1
    assert "s3cr3t" not in run.stderr + run.stdout
    assert "datasync_events" in run.stderr
    assert "'extract'" in run.stderr
    assert "401" in run.stderr


BAD = {
    "unreachable host": ({"AIRFLOW_CONN_DATASYNC": "host-down"}, "", ["127.0.0.1:9", "extract"]),
    "no connection": ({"AIRFLOW_CONN_WAREHOUSE": ""}, "", ["warehouse", "AIRFLOW_CONN_WAREHOUSE", "load"]),
    "missing records": ({}, "s/records: data/records: items/", ["items", "data", "extract"]),
    "wrong table": ({}, "s/table: ingested_events/table: nowhere.events/", ["nowhere", "load"]),
    "too few records": ({}, "s/owner: data/expect: {min_records: 20000}/", ["10,000", "20,000"]),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_names_pipeline_step_and_field(world: World, name: str) -> None:
    environment, change, words = BAD[name]
    text = EVENTS_ALONE
    if change:
        _, old, new, _ = change.split("/")
        assert old in text
        text = text.replace(old, new)
    if environment.get("AIRFLOW_CONN_DATASYNC") == "host-down":
        down = {"conn_type": "http", "host": "http://127.0.0.1:9", "extra": {"allow_private": True, "auth": "none"}}
        environment = {"AIRFLOW_CONN_DATASYNC": json.dumps(down)}
    run = world.call("run", world.spec(text), **environment)
    assert run.returncode == 1, run.stderr
    assert "datasync_events" in run.stderr
    for word in words:
        assert word in run.stderr, run.stderr


def test_a_page_with_bad_records_loads_the_others(world: World) -> None:
    world.query("create table ingested_events (id text primary key, event_type varchar(8), timestamp timestamptz)")
    text = EVENTS_ALONE
    start = text.index("      columns:\n")
    spec = world.spec(text[:start])
    run = world.call("run", spec)
    assert run.returncode == 0, run.stderr
    fits = "select count(*) from (select id from ingested_events where length(event_type) <= 8) as fitting"
    assert 0 < world.query(fits)[0][0] == world.count() < world.api.stats()["unique"]
    assert re.search(r"[\d,]+ rejected$", run.stderr.strip())
    listed = json.loads(world.call("rejects", "list", "--limit", "1", "--json").stdout)
    assert listed["step"] == "load"
    assert len(listed["record"]["event_type"]) > 8


def test_too_many_rejects_fail_the_run(world: World) -> None:
    text = EVENTS_ALONE.replace("parse_date: {field: timestamp}", "to_number: {field: type}")
    text = text.replace("owner: data", "rejects: {max: 1%}")
    assert "to_number" in text
    run = world.call("run", world.spec(text))
    assert run.returncode == 1
    assert "rejects.max allows 1%" in run.stderr


def test_a_changed_source_against_an_old_checkpoint_is_refused(world: World) -> None:
    world.call("run", EVENTS, "--limit", 10)
    run = world.call("run", world.spec(EVENTS_ALONE.replace('query: {since: "{{ params.since }}"}', "")))
    assert run.returncode == 1
    assert "--full" in run.stderr


def test_a_disabled_load_does_nothing_and_says_so(world: World) -> None:
    run = world.call("run", world.spec(EVENTS_ALONE.replace("type: load", "type: load\n    enabled: false")))
    assert run.returncode == 0
    assert "skipped" in run.stderr
    assert world.count() == 0
