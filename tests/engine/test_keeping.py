"""What a run says is kept with it: in batches, not endlessly, and never at the run's cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_datahub.contract import Run
from airflow_datahub.engine import run_pipeline
from airflow_datahub.engine.keeping import MOST, KeptLog
from airflow_datahub.errors import RunFailed, StopRun
from airflow_datahub.spec import loads
from airflow_datahub.state.logs import KEPT, LogLine, Logs
from airflow_datahub.state.store import Store
from airflow_datahub.state.texts import TEXT_LIMIT

SPEC = """version: 1
rejects: {max: 0}
steps:
  - {key: rows, type: extract, adapter: inline, config: {rows: [{a: 1}, ROW]}}
  - {key: tidy, type: transform, operators: [{to_number: {field: a}}]}
  - {key: print, type: load, adapter: stdout}
"""


class Heard:
    """A log that remembers."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def __getattr__(self, level: str) -> Callable[..., None]:
        return lambda event, **fields: self.said.append(f"{level} {event}")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(home=tmp_path) as opened:
        yield opened


def of_a_run(row: str, store: Store, log: Any) -> list[LogLine]:
    pipeline = loads(SPEC.replace("ROW", row), "p.yaml")
    try:
        run_pipeline(pipeline, Run(pipeline="p", run_id="r", log=log), store)
    finally:
        lines = store.logs.of("p", "r")
    return lines


def test_a_run_is_kept_as_it_was_shown(store: Store) -> None:
    heard = Heard()
    lines = of_a_run("{a: 2}", store, heard)
    assert [f"{line.level} {line.event}" for line in lines] == heard.said
    assert (lines[0].event, lines[0].fields) == ("ingestion_started", {"pipeline": "p", "run_id": "r"})
    assert lines[-1].event.startswith("ingestion complete: 2 records")


def test_why_a_run_failed_is_kept(store: Store) -> None:
    with pytest.raises(StopRun):
        of_a_run("{a: many}", store, Heard())
    last = store.logs.of("p", "r", ["error"])[-1]
    assert "rejects.max allows 0" in last.event


def test_a_log_that_cannot_be_written_fails_no_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Logs, *_: object, **__: object) -> None:
        raise RunFailed("the disk is full")

    heard = Heard()
    with monkeypatch.context() as patch:
        patch.setattr(Logs, "add", broken)
        assert of_a_run("{a: 2}", store, heard) == []
    assert "warning ledger_not_written" in heard.said


def test_a_flood_is_cut_and_told(store: Store) -> None:
    log = KeptLog(Heard(), store.logs, "p", "r")
    for number in range(MOST + 5):
        log.info("again", number=number)
    log.debug("not kept")
    log.flush()
    lines = store.logs.of("p", "r", limit=2 * MOST)
    assert len(lines) == MOST + 1
    assert (lines[-1].event, lines[-1].fields) == ("log_lines_not_kept", {"lines": 5})


def test_any_text_can_be_kept(store: Store) -> None:
    line = LogLine(
        datetime.now(UTC), "info", "\x00\ud800" + "x" * 9999, {"a": float("nan"), "b": "\x00\ud800", "c": {1}}
    )
    store.logs.add("p", "r", [line])
    [found] = store.logs.of("p", "r")
    assert len(found.event) <= TEXT_LIMIT + 20
    assert (found.fields["b"], found.fields["c"]) == ("\\x00\\ud800", "{1}")


def test_lines_are_kept_for_thirty_days(store: Store) -> None:
    now = datetime.now(UTC)
    old, young = (LogLine(now - age, "info", name, {}) for age, name in (
        (KEPT + timedelta(hours=1), "old"), (KEPT - timedelta(hours=1), "young"),
    ))  # fmt: skip
    store.logs.add("p", "r", [old, young])
    store.logs.add("q", "s", [])
    assert len(store.logs.of("p", "r")) == 2
    store.logs.add("q", "s", [], prune=True)
    assert [line.event for line in store.logs.of("p", "r")] == ["young"]
