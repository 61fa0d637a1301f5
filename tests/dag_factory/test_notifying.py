"""`notify` in Airflow's words; silence is told of once, and only while nothing comes."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.serialization.serialized_objects import DagSerialization

from airflow_datahub.dag_factory.building import dag_of
from airflow_datahub.dag_factory.silence import look, tell
from airflow_datahub.spec import Pipeline, loads
from airflow_datahub.spec.notices import Notice
from airflow_datahub.state import Counters
from airflow_datahub.state.store import Store

NOTICE = "{'tests.notices:Written': {file: FILE, text: '{{ dag_run.dag_id }} {{ dag_run.run_id }}'}}"


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that notifiers write to."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    return tmp_path / "told"


def given(told: Path, notify: str) -> Pipeline:
    """A pipeline with that `notify`."""
    extract, load = (
        "{key: e, type: extract, adapter: inline, config: {rows: []}}",
        "{key: l, type: load, adapter: stdout}",
    )
    steps = f"steps:\n- {extract}\n- {load}"
    text = f"version: 1\nschedule: '@hourly'\nnotify: {notify}\n{steps}\n"
    return loads(text.replace("NOTICE", NOTICE).replace("FILE", str(told)), "quiet.yaml")


def lines(told: Path) -> list[dict[str, Any]]:
    """What notifiers were told."""
    return [json.loads(line) for line in told.read_text().splitlines()] if told.exists() else []


CONTEXT = {"dag_run": {"dag_id": "quiet", "run_id": "r"}}


def test_notifiers_become_callbacks_and_nothing_is_made_before_there_is_something_to_tell(told: Path) -> None:
    dag = dag_of(given(told, "{success: [NOTICE], retry: [NOTICE]}"))
    assert (len(dag.on_success_callback), dag.on_failure_callback, dag.deadline) == (1, None, None)
    (retry,) = dag.tasks[0].on_retry_callback
    retry(CONTEXT)
    assert [line["text"] for line in lines(told)] == ["quiet r"]


def test_without_notify_a_dag_is_as_it_was(told: Path) -> None:
    dag = dag_of(given(told, "{}"))
    assert (dag.on_success_callback, dag.on_failure_callback, dag.deadline) == (None, None, None)
    assert not dag.tasks[0].on_retry_callback


def test_silence_is_a_deadline_too_and_the_dag_comes_out_the_same_each_time(told: Path) -> None:
    made = [dag_of(given(told, "{failure: [NOTICE], silence: 2d}")) for _ in range(2)]
    (alert,) = made[0].deadline
    assert (alert.interval, alert.callback.path) == (timedelta(days=2), "airflow_datahub.dag_factory.silence.look")
    first, second = (json.dumps(DagSerialization.to_dict(dag), sort_keys=True, default=str) for dag in made)
    assert first == second


def test_silence_is_told_of_once_and_no_more_once_a_record_comes(told: Path) -> None:
    notices = (Notice(path="tests.notices:Written", fields={"file": str(told), "text": "{{ reason }}"}),)
    second = timedelta(milliseconds=1)
    assert not tell("quiet", second, notices, CONTEXT), "no run, no silence"
    with Store.open() as store:
        store.begin("quiet", "r", "abc", "schedule")
        store.save_steps("quiet", "r", {"e": Counters()})
        store.end("quiet", "r", "success")
    day = timedelta(days=1)
    assert not tell("quiet", day, notices, CONTEXT)
    assert tell("quiet", second, notices, CONTEXT)
    assert not tell("quiet", day, notices, CONTEXT)
    (line,) = lines(told)
    assert line["reason"].startswith("no record has come for 0s or longer, since 20")
    assert line["text"] == line["reason"]
    with Store.open() as store:
        (kept,) = store.audits("quiet")
    assert (kept.act, kept.actor) == ("silence told", "airflow")


def test_a_record_ends_the_silence(told: Path) -> None:
    with Store.open() as store:
        store.begin("quiet", "old", "abc", "schedule")
        store.end("quiet", "old", "success")
        quiet = store.silent_since("quiet", timedelta(0))
        store.begin("quiet", "new", "abc", "schedule")
        store.save_steps("quiet", "new", {"e": Counters(records_in=1)})
        store.end("quiet", "new", "success")
        after = store.silent_since("quiet", timedelta(0))
    assert quiet
    assert after
    assert after > quiet


def test_the_deadline_calls_what_the_end_of_a_run_calls(told: Path) -> None:
    with Store.open() as store:
        store.begin("quiet", "r", "abc", "schedule")
    fields = {"file": str(told), "text": "{{ dag_run.run_id }} {{ run_id }}"}
    notice = {"path": "tests.notices:Written", "fields": fields}
    context = {"dag_run": {"dag_id": "quiet", "dag_run_id": "r"}, "deadline": {}}
    assert asyncio.run(look("quiet", 0.001, [notice], context)) == "told"
    assert asyncio.run(look("quiet", 86400, [notice], context)) == "nothing to tell"
    assert [line["text"] for line in lines(told)] == ["r r"]


def test_one_notifier_that_fails_does_not_keep_the_others_from_being_told(told: Path) -> None:
    with Store.open() as store:
        store.begin("quiet", "r", "abc", "schedule")
    bad = Notice(path="tests.notices:Written", fields={"file": str(told.parent), "text": ""})
    good = Notice(path="tests.notices:Written", fields={"file": str(told), "text": "x"})
    for _ in range(2):
        with pytest.raises(IsADirectoryError):
            tell("quiet", timedelta(milliseconds=1), (bad, good), CONTEXT)
    assert len(lines(told)) == 2, "told again, since not all were"
