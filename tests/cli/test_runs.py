"""`runs`: what the ledger says of runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_datahub.contract import Stream
from airflow_datahub.state import Counters, Reject
from airflow_datahub.state.logs import LogLine
from airflow_datahub.state.store import Store
from tests.cli.conftest import Call
from tests.world import EVENTS

TRY_IT = EVENTS.parent / "try_it.yaml"


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The store of an AIRFLOW_HOME of its own."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    with Store.open() as opened:
        yield opened


def rows(said: str) -> list[Any]:
    return [json.loads(line) for line in said.splitlines()]


def begun(store: Store, pipeline: str, run_id: str, state: Any) -> None:
    store.begin(pipeline, run_id, "abc", "schedule")
    if state != "running":
        store.end(pipeline, run_id, state, "the server said no" if state == "failed" else None)


def test_a_run_of_the_command_line_is_listed_and_shown(call: Call) -> None:
    assert call("run", TRY_IT)[0] == 0
    code, said = call("runs", "list")
    assert (code, len(said.splitlines())) == (0, 2)
    assert " try_it cli__" in said
    assert " success: 3 read, 1 written, 1 rejected in " in said
    code, said = call("runs", "show")
    assert code == 0
    assert "state: success\ntrigger: cli\ntries: 1\n" in said
    lines = said.splitlines()
    header = next(line.split() for line in lines if line.startswith("step "))
    tidy = dict(zip(header, next(line.split() for line in lines if line.startswith("tidy ")), strict=True))
    assert {name: tidy[name] for name in ("in", "out", "rejected", "filtered")} == {
        "in": "3", "out": "1", "rejected": "1", "filtered": "1",
    }  # fmt: skip
    assert lines[-2:] == [
        "1 rejected by tidy/to_number/amount: amount: 'many' (string) is not a number",
        '  first: {"id": 3, "name": "Cleo", "amount": "many"}',
    ]


def test_runs_are_filtered(call: Call, store: Store) -> None:
    begun(store, "a", "one", "success")
    begun(store, "a", "two", "failed")
    begun(store, "b", "three", "running")

    def listed(*options: str) -> list[str]:
        return [row["run_id"] for row in rows(call("runs", "list", "--json", *options)[1])]

    assert listed() == ["three", "two", "one"]
    assert listed("--pipeline", "a") == ["two", "one"]
    assert listed("--state", "failed") == ["two"]
    assert listed("--limit", "1") == ["three"]
    assert listed("--since", "1h") == ["three", "two", "one"]
    assert listed("--since", "2001-01-01") == ["three", "two", "one"]
    assert listed("--since", "2101-01-01T00:00+02:00") == []


def test_the_counts_of_all_steps_are_shown(call: Call, store: Store) -> None:
    begun(store, "a", "one", "failed")
    steps = {
        "extract": Counters(records_in=1200, records_out=1200, pages=2, retries=3, bytes=40_000, seconds=1.5),
        "load": Counters(records_in=1200, records_out=1199, rejected=1, inserted=1000, updated=199, commits=2),
    }
    store.save_steps("a", "one", steps)
    rejects = [Reject(n, "load", None, "id", f"too long: {n // 2}", {"id": n}) for n in range(3)]
    store.add_rejects(Stream("a", "extract>load"), "me", "one", "abc", 1, rejects, provisional=False)
    [row] = rows(call("runs", "show", "one", "--json")[1])
    assert (row["state"], row["error"]) == ("failed", "the server said no")
    assert row["steps"]["extract"]["bytes"] == 40_000
    assert [(group["count"], group["reason"], group["first"]) for group in row["rejects"]] == [
        (2, "too long: 0", '{"id": 0}'), (1, "too long: 1", '{"id": 2}'),
    ]  # fmt: skip
    said = call("runs", "show", "one")[1]
    assert "error: the server said no" in said
    assert said.splitlines()[11].split() == [
        "step", "in", "out", "rejected", "inserted", "updated", "pages", "commits", "retries", "bytes", "seconds",
    ]  # fmt: skip
    assert "2 rejected by load/id: too long: 0" in said


def test_a_run_id_of_several_pipelines_wants_the_pipeline(call: Call, store: Store) -> None:
    for pipeline in ("b", "a"):
        begun(store, pipeline, "scheduled__1", "success")
    code, said = call("runs", "show", "scheduled__1")
    assert (code, "give --pipeline, one of a, b" in " ".join(said.split())) == (2, True)
    assert call("runs", "show", "scheduled__1", "--pipeline", "a")[1].startswith("pipeline: a\n")


@pytest.mark.parametrize(
    ("call_", "why"),
    [
        ("show nothing", "there is no run 'nothing'"),
        ("show --pipeline p", "there is no run of pipeline 'p'"),
        ("logs --level loud", "there are info, warning, error"),
        ("list --state done", "there are running, success, failed"),
        ("list --since yesterday", "write 24h, 7d, or a time"),
    ],
)
def test_a_wrong_call_says_what_there_is(call: Call, call_: str, why: str) -> None:
    code, said = call("runs", *call_.split())
    assert (code, why in " ".join(said.split())) == (2, True), said


def test_what_a_run_said_is_shown(call: Call, store: Store) -> None:
    assert call("run", TRY_IT)[0] == 0
    code, said = call("runs", "logs")
    assert (code, len(said.splitlines())) == (0, 6)
    assert " ingestion_started pipeline=try_it run_id=cli__" in said.splitlines()[0]
    assert said.splitlines()[3].split()[2:6] == ["tidy", "3", "1", "1"]
    assert " ingestion complete: 3 records in " in said.splitlines()[5]
    begun(store, "a", "one", "failed")
    at = datetime(2026, 1, 31, 12, tzinfo=UTC)
    store.logs.add("a", "one", [LogLine(at, "info", "page", {}), LogLine(at, "error", "it broke", {"tries": 3})])
    assert call("runs", "logs", "one", "--level", "warning") == (0, "2026-01-31 12:00:00 error: it broke tries=3\n")
    assert [row["event"] for row in rows(call("runs", "logs", "one", "--json")[1])] == ["page", "it broke"]
    assert call("runs", "logs", "one", "--limit", "1")[1].count("\n") == 1
