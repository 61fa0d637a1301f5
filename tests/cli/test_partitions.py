"""Partitions by hand: run, look at, and move them one by one or all together."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.cli.conftest import Call
from tests.hostile import Hostile
from tests.windowed import Windowed, spec

DAYS = {"2024-01-01": 4, "2024-01-02": 5, "2024-01-03": 6}
THREE_DAYS = spec("{by: window, window: {from: 2024-01-01, to: 2024-01-04, size: 1d}}", load="key: [id]")


@pytest.fixture
def api(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Windowed]:
    """The API, the connections to it and to the database, and a home."""
    answers = Windowed(dict(DAYS))
    extra = {"auth": "none", "allow_private": True, "retries": 0}
    with Hostile(answers) as server:
        http = {"conn_type": "http", "host": f"http://127.0.0.1:{server.port}", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_API", json.dumps(http))
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", database)
        monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
        yield answers


@pytest.fixture
def daily(tmp_path: Path) -> Path:
    """The spec."""
    path = tmp_path / "daily.yaml"
    path.write_text(THREE_DAYS)
    return path


def test_all_of_them_run_one_after_another_and_one_is_moved(
    call: Call, api: Windowed, daily: Path, database: str
) -> None:
    code, said = call("run", daily)
    assert code == 0, said
    with psycopg.connect(database) as connection:
        assert connection.execute("select count(*) from events").fetchone() == (15,)
    code, said = call("runs", "show")
    assert "state: success\ntrigger: cli\ntries: 1\n" in said
    assert [line.split() for line in said.splitlines() if line.startswith(("partition", "2024"))] == [
        ["partition", "read", "inserted"], ["2024-01-01", "4", "4"], ["2024-01-02", "5", "5"], ["2024-01-03", "6", "6"],
    ]  # fmt: skip

    rows = [json.loads(line) for line in call("checkpoint", "show", daily, "--json")[1].splitlines()]
    assert [(row["stream"], row["finished"], row["belongs_to"]) for row in rows] == [
        (f"events[{day}]>load", True, "this spec") for day in DAYS
    ]
    assert call("checkpoint", "show", daily, "--partition", "2024-01-02")[1].count("stream: ") == 1
    assert call("checkpoint", "reset", daily, "--partition", "2024-01-02") == (
        0, "the next run of 2024-01-02 begins at the start (version 2)\n",
    )  # fmt: skip
    api.counts()
    assert call("run", daily)[0] == 0
    assert api.counts() == {"2024-01-02": 2}

    assert call("checkpoint", "set", daily)[1].count("goes on at") == 3
    assert call("run", daily, "--partition", "2024-01-03")[0] == 0
    assert api.counts() == {"2024-01-03": 1}, "it is gone on with where it stands"
    assert call("checkpoint", "reset", daily)[1].count("begins at the start") == 3
    assert call("run", daily)[0] == 0
    assert set(api.counts()) == set(DAYS)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--partition", "2024-01-3"], "has no partition '2024-01-3'; did you mean '2024-01-03'?"),
        (["checkpoint", "set", "--cursor", "1"], "a position is that of one partition: say --partition KEY"),
        (["checkpoint", "reset", "--partition", "2024-01-09"], "no checkpoint of the stream 'events[2024-01-09]>load'"),
    ],
)
def test_what_cannot_be_done(call: Call, api: Windowed, daily: Path, arguments: list[str], words: str) -> None:
    assert call("run", daily, "--limit", "1")[0] == 0
    at = 1 if arguments[0] == "run" else 2
    code, said = call(*arguments[:at], daily, *arguments[at:])
    assert code != 0
    assert words in " ".join(said.replace("│", " ").split())


def test_a_spec_without_partitions_has_none(call: Call, api: Windowed, daily: Path) -> None:
    daily.write_text("version: 1\nsteps:\n  - {key: a, type: extract, adapter: inline, config: {rows: []}}\n"
                     "  - {key: b, type: load, adapter: stdout}\n")  # fmt: skip
    for command in (["run"], ["checkpoint", "show"]):
        code, said = call(*command, daily, "--partition", "x")
        assert (code, "no extract step of this spec has a" in said) == (2, True)


def test_plan_counts_them_and_a_preview_takes_the_first(call: Call, api: Windowed, daily: Path) -> None:
    assert "note: events: 3 partitions: 2024-01-01 … 2024-01-03" in call("plan", daily)[1]
    code, said = call("preview", daily, "--limit", "2", "--json")
    assert code == 0, said
    first = json.loads(said.splitlines()[0])
    assert [each["record"]["day"] for each in first["records"]] == ["2024-01-01", "2024-01-01"]
    assert set(api.counts()) == {"2024-01-01"}
