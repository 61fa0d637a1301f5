"""A task runs its stage with the real engine and store; only Airflow's supervisor is not there."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.openlineage.utils.selective_enable import enable_lineage
from airflow.sdk.api.datamodels._generated import DagRun
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSkipException,
    AirflowTaskTimeout,
)
from airflow.sdk.execution_time.timeout import timeout
from cryptography.fernet import Fernet

from airflow_datahub import environment
from airflow_datahub.contract import Silence
from airflow_datahub.dag_factory import dag_of
from airflow_datahub.errors import ConfigurationError, RunFailed
from airflow_datahub.operators.handover import connection, run_of
from airflow_datahub.operators.stage import SOONEST, StageOperator
from airflow_datahub.spec import Pipeline, loads
from airflow_datahub.state.store import Store
from tests.operators.conftest import Run

MOMENT = datetime(2026, 1, 2, 3, tzinfo=UTC)


class Memory(dict[str, Any]):
    """Airflow's task state store, as far as the operator uses it."""

    def set(self, key: str, value: Any) -> None:
        """Keep a value."""
        self[key] = json.loads(json.dumps(value))

    def delete(self, key: str) -> None:
        """Forget a value."""
        self.pop(key, None)


class Instance:
    """Airflow's task instance, as far as the operator asks it."""

    dag_id, run_id, task_id, map_index = "given", "run-1", "extract-print", -1
    try_number, max_tries = 1, 3

    def __init__(self, state: str = "running"):
        self.state = state

    def get_task_states(self, **of: Any) -> dict[str, Any]:
        """What the server says."""
        assert of == {"dag_id": "given", "run_ids": ["run-1"], "task_ids": ["extract-print"], "map_index": -1}
        if self.state == "away":
            raise OSError("no server")
        return {"run-1": {"extract-print": self.state}}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of each test's store."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    return tmp_path


def pipeline(how: str = "well", head: str = "", note: str = "null", more: str = "") -> Pipeline:
    """A pipeline that ends so."""
    return loads(
        f"""
version: 1
{head}
steps:
  - key: extract
    type: extract
    adapter: tests.operators.endings:Endings
    config: {{how: {how}, note: {note}{more}}}
  - {{key: print, type: load, adapter: stdout, config: {{}}}}
""",
        "given.yaml",
    )


def operator(given: Pipeline) -> StageOperator:
    """The task of a pipeline, ready to run."""
    return StageOperator(task_id="extract-print", pipeline=given).prepare_for_execution()


def context(run_type: str = "manual", memory: Memory | None = None, **params: Any) -> Any:
    """What Airflow hands to a task."""
    run = DagRun(
        dag_id="given", run_id="run-1", logical_date=None, data_interval_start=None, data_interval_end=None,
        run_after=MOMENT, start_date=MOMENT, end_date=None, run_type=run_type, state="running",
        consumed_asset_events=[], partition_key=None,
    )  # fmt: skip
    memory = memory if memory is not None else Memory()
    return {"dag_run": run, "params": params, "task_state_store": memory, "ti": Instance()}


def records(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What the run printed."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith('{"id"')]


def test_a_run_that_goes_well(capsys: pytest.CaptureFixture[str]) -> None:
    counted = operator(pipeline()).execute(context("scheduled"))
    assert (counted["records"], counted["rejected"]) == (1, 0)
    assert records(capsys) == [{"id": 1, "note": None, "trigger": "schedule", "started": "2026-01-02T03:00:00+00:00"}]
    with Store.open() as store:
        run = store.run("given", "run-1")
    assert run is not None
    assert (run.state, run.trigger, run.tries) == ("success", "schedule", 1)


@pytest.mark.parametrize(
    ("run_type", "trigger"),
    [("manual", "manual"), ("backfill", "schedule"), ("asset_triggered", "event"), ("operator_triggered", "manual")],
)
def test_what_triggered_a_run(run_type: str, trigger: str, capsys: pytest.CaptureFixture[str]) -> None:
    operator(pipeline()).execute(context(run_type))
    assert records(capsys)[0]["trigger"] == trigger


@pytest.mark.parametrize("how", ["configuration", "stop"])
def test_what_a_retry_would_only_hide_fails_at_once(how: str) -> None:
    with pytest.raises(AirflowFailException, match=r"pipeline 'given', step 'extract': "):
        operator(pipeline(how)).execute(context())


@pytest.mark.parametrize("how", ["failed", "surprise"])
def test_what_a_retry_may_cure_is_for_the_retries(how: str) -> None:
    with pytest.raises(RunFailed, match=r"pipeline 'given', step 'extract': "):
        operator(pipeline(how)).execute(context())


def test_later_is_another_time_and_a_day_at_most() -> None:
    memory = Memory()
    given = pipeline("later", more=", delay: 50000")
    before = datetime.now(UTC)
    with pytest.raises(AirflowRescheduleException) as caught:
        operator(given).execute(context(memory=memory))
    assert timedelta(0) <= caught.value.reschedule_date - before - timedelta(seconds=50_000) < timedelta(minutes=1)
    with pytest.raises(AirflowFailException, match=r"come back later .*more than 24 hours"):
        operator(given).execute(context(memory=memory))
    with pytest.raises(AirflowRescheduleException):  # somebody cleared the task: it may wait again
        operator(given).execute(context(memory=memory))


def test_nothing_is_put_off_for_less_than_the_scheduler_needs_to_notice_the_end() -> None:
    before = datetime.now(UTC)
    with pytest.raises(AirflowRescheduleException) as caught:
        operator(pipeline("later", more=", delay: 0.1")).execute(context())
    assert caught.value.reschedule_date >= before + SOONEST


def test_a_pipeline_that_is_off_is_skipped() -> None:
    off = loads(pipeline().text.replace("key: print,", "key: print, enabled: false,"), "given.yaml")
    with pytest.raises(AirflowSkipException, match="load step 'print' is off"):
        operator(off).execute(context())


@pytest.mark.parametrize("state", ["running", "away"])
def test_a_stop_of_the_deployment_ends_a_try_within_airflows_five_seconds_and_goes_on(state: str) -> None:
    task = operator(pipeline("never"))
    previous = signal.signal(signal.SIGTERM, lambda *_: task.on_kill())
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
    before = datetime.now(UTC)
    try:
        with pytest.raises(AirflowRescheduleException) as caught:
            task.execute(context() | {"ti": Instance(state)})
    finally:
        signal.signal(signal.SIGTERM, previous)
    assert datetime.now(UTC) - before < timedelta(seconds=5)
    assert timedelta(0) <= caught.value.reschedule_date - before - SOONEST < timedelta(seconds=5)


def test_a_task_that_a_person_failed_stays_failed() -> None:
    task = operator(pipeline("never"))
    threading.Timer(0.5, task.on_kill).start()
    with pytest.raises(AirflowFailException, match="ingestion interrupted"):
        task.execute(context() | {"ti": Instance("failed")})


def test_a_timeout_leaves_no_thread_behind() -> None:
    before = set(threading.enumerate())
    task = operator(pipeline("never"))
    with pytest.raises(AirflowTaskTimeout), timeout(1):  # type: ignore[no-untyped-call]
        task.execute(context())
    task.on_kill()  # as Airflow does then
    deadline = time.monotonic() + 4
    while left := set(threading.enumerate()) - before:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def test_a_stop_before_the_start_is_heeded() -> None:
    task = operator(pipeline("never"))
    task.on_kill()
    with pytest.raises(AirflowRescheduleException):
        task.execute(context())


HEAD = "params: {since: {type: [string, 'null'], format: date-time, default: null}}"


def test_templates_are_rendered_by_us_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    task = operator(pipeline(head=HEAD, note='"{{ params.since }}"'))
    task.render_template_fields(context())
    assert task.templated == {"extract.note": None}
    mixed = operator(pipeline(head=HEAD, note='"{{ run_id }} since {{ params.since }}"'))
    given = context(since="2026-01-01T00:00:00Z")
    mixed.render_template_fields(given)
    assert mixed.templated == {"extract.note": "run-1 since 2026-01-01T00:00:00Z"}
    mixed.execute(given)
    assert records(capsys)[0]["note"] == "run-1 since 2026-01-01T00:00:00Z"


def test_a_retry_runs_and_shows_the_spec_that_the_run_began_with(capsys: pytest.CaptureFixture[str]) -> None:
    """The default of a param is a part of it, also where Airflow says the one of the spec as it is now."""
    head = "params: {word: {default: before}}"
    first, edited = (
        pipeline("failed", head.replace("before", word), '"{{ params.word }} {{ run_id }}"')
        for word in ("before", "after")
    )
    with pytest.raises(RunFailed):
        operator(first).execute(context(word="before"))
    capsys.readouterr()
    again, given = operator(edited), context(word="after")
    again.render_template_fields(given)
    with pytest.raises(RunFailed):
        again.execute(given)
    assert again.templated == {"extract.note": "before run-1"}
    assert [each["note"] for each in records(capsys)] == ["before run-1"]


def test_a_run_whose_stages_are_others_now_fails_at_once() -> None:
    with pytest.raises(RunFailed):
        operator(pipeline("failed")).execute(context())
    renamed = loads(pipeline("failed").text.replace("key: print", "key: show"), "given.yaml")
    task = operator(renamed)
    task.render_template_fields(context())
    with pytest.raises(AirflowFailException, match=r"airflow-datahub revisions revert given\.yaml [0-9a-f]{12}"):
        task.execute(context())


@pytest.mark.parametrize("entry", ["render_template_fields", "execute"])
def test_a_wrong_param_fails_at_once_and_is_named(entry: str) -> None:
    with pytest.raises(AirflowFailException, match=r"param 'since'.*date-time, not 'junk'"):
        getattr(operator(pipeline(head=HEAD)), entry)(context(since="junk"))


@pytest.mark.parametrize("conf", [{}, {"_selective_enable_ol": True}])
def test_a_param_that_others_added_to_the_dag_is_theirs(conf: dict[str, Any], run_dag: Run) -> None:
    """As OpenLineage's provider does; Airflow's form sends all that the DAG has."""
    dag = enable_lineage(dag_of(pipeline(head=HEAD)))
    assert run_dag(dag, **conf)["extract-print"]["records"] == 1


def test_a_param_that_nobody_has_is_refused(run_dag: Run) -> None:
    assert run_dag(dag_of(pipeline(head=HEAD)), sinse="2026-01-01T00:00:00Z") == {"extract-print": "failed"}


def test_a_template_that_cannot_be_rendered_fails_at_once() -> None:
    with pytest.raises(AirflowFailException, match=r"pipeline 'given': .*'note'.*1 / 0"):
        operator(pipeline(note='"{{ 1 / 0 }}"')).render_template_fields(context())


def test_connections_are_airflows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", "http://me:s3cret@example.com:8080/x?timeout=5")
    found = connection("shop")
    assert (found.id, found.type, found.host, found.port) == ("shop", "http", "example.com", 8080)
    assert (found.login, found.password, found.schema, found.extra) == ("me", "s3cret", "x", {"timeout": "5"})
    assert found == environment.connection("shop")
    with pytest.raises(ConfigurationError, match=r"connection 'nowhere' is not defined: .*AIRFLOW_CONN_NOWHERE"):
        connection("nowhere")


def test_the_store_is_sealed_with_airflows_key(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", Fernet.generate_key().decode())
    operator(pipeline()).execute(context())
    assert not (home / "airflow_datahub.key").exists()


def test_the_run_of_a_task_knows_the_redis_that_the_option_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for named, known in ((None, None), ("", None), ("states", "states")):
        if named is not None:
            monkeypatch.setenv("AIRFLOW__AIRFLOW_DATAHUB__REDIS_CONN_ID", named)
        assert run_of(pipeline(), context(), Silence(), threading.Event()).redis == known
