"""A right spec: what the models, the revision and the plan hold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from hypothesis import given
from hypothesis.strategies import from_regex
from pydantic import ValidationError

from airflow_datahub.spec import Every, Pipeline, Share, TransformStep, load, loads, plan, words

WHOLE = """version: 1
id: p
description: What it is for
tags: [a, b]
owner: data
schedule: ["0 * * * *", "30  5 * * 1-5"]
timezone: Europe/Berlin
start_date: 2024-07-01
catchup: false
params: {since: 5}
max_active_runs: 1
retries: 1
retry_delay: 5m
timeout: 2h
pool: small
priority: 7
rejects: {max: 0.5%}
expect: {min_records: 1}
throughput: {batch_size: 500}
steps:
  - key: extract
    type: extract
    stage: auto
    retries: 4
    adapter: tests.spec.spec_adapters:Paged
    config: {path: "/{{ params.since }}", paging: {type: page, param: p}}
  - key: tidy
    type: transform
    on_error: drop
    timeout: 3h
    pool: large
    operators:
      - tests.spec.spec_adapters:Move: {from: a, to: b, on_error: flag}
      - tests.spec.spec_adapters:Move: {from: b, to: c}
  - key: load
    type: load
    adapter: tests.spec.spec_adapters:Table
    config: {table: t, columns: {a: {type: text, from: x}, b: text}}
tests:
  - name: a test
    given: {extract: [{a: 1}]}
    expect: {load: [{c: 1}]}
    rejects: [{step: tidy, operator: "tests.spec.spec_adapters:Move", reason: no}]
"""


def test_every_word_is_there() -> None:
    p = loads(WHOLE, "p.yaml", {})
    assert (p.version, p.id, p.description, p.tags, p.owner) == (1, "p", "What it is for", ("a", "b"), "data")
    assert (p.schedule, p.timezone) == (("0 * * * *", "30 5 * * 1-5"), "Europe/Berlin")
    assert p.start_date == datetime(2024, 7, 1, tzinfo=ZoneInfo("Europe/Berlin"))
    assert (p.params, p.max_active_runs, p.retries, p.retry_delay) == (
        {"since": {"default": 5}},
        1,
        1,
        timedelta(minutes=5),
    )
    assert (p.timeout, p.pool, p.priority) == (timedelta(hours=2), "small", 7)
    assert (p.rejects.max, p.expect.min_records, p.throughput.batch_size) == (Share(0.005), 1, 500)
    assert (p.text, p.file) == (WHOLE, "p.yaml")
    tidy = p.steps[1]
    assert isinstance(tidy, TransformStep)
    assert [(o.name, o.transform.model_dump(), o.on_error) for o in tidy.operators] == [
        ("tests.spec.spec_adapters:Move", {"origin": "a", "to": "b"}, "flag"),
        ("tests.spec.spec_adapters:Move", {"origin": "b", "to": "c"}, None),
    ]
    assert (tidy.on_error, p.extract.on_error, p.extract.adapter) == (
        "drop",
        "reject",
        "tests.spec.spec_adapters:Paged",
    )
    assert p.load.sink.model_dump()["columns"] == {"a": {"type": "text", "origin": "x"}, "b": "text"}
    assert (p.tests[0].given, p.tests[0].expect) == ({"extract": ({"a": 1},)}, {"load": ({"c": 1},)})
    assert (p.tests[0].now, p.tests[0].rejects[0].reason) == (datetime(2024, 1, 15, tzinfo=UTC), "no")


def test_a_step_may_say_how_much_at_once(right: Callable[..., Pipeline], wrong: Callable[..., list[str]]) -> None:
    p = loads(WHOLE, "p.yaml", {})
    assert (p.batch_size, p.concurrency) == (500, 10)
    own = WHOLE.replace("    stage: auto\n", "    throughput: {concurrency: 3}\n")
    own = own.replace("    type: load\n", "    type: load\n    throughput: {batch_size: 70}\n")
    p = loads(own, "p.yaml", {})
    assert (p.batch_size, p.concurrency) == (70, 3)
    assert right("throughput: {concurrency: 100}\n").concurrency == 100
    for word in ("{batch_size: 5}", "{concurrency: 0}", "{concurrency: 101}", "5"):
        assert wrong(own.replace("{concurrency: 3}", word))[0].startswith("23:")


def test_defaults(right: Callable[..., Pipeline]) -> None:
    p = right()
    assert (p.id, p.description, p.tags, p.owner, p.schedule, p.timezone) == ("p", "", (), "airflow", None, "UTC")
    assert (p.start_date, p.params, p.max_active_runs, p.retries) == (None, {}, 1, 3)
    assert (p.retry_delay, p.timeout, p.pool, p.priority) == (timedelta(seconds=10), None, "default_pool", 1)
    assert (p.rejects.max, p.expect.min_records, p.throughput.batch_size, p.tests) == (None, 0, 10_000, ())
    assert [(step.key, step.enabled) for step in p.steps] == [("extract", True), ("load", True)]


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("schedule: '@daily'", "@daily"),
        ("schedule: '*/15 * * * *'", "*/15 * * * *"),
        ("schedule: {every: 15m}", Every(every=timedelta(minutes=15))),
        ("schedule: null", None),
    ],
)
def test_schedules(right: Callable[..., Pipeline], head: str, expected: object) -> None:
    assert right(f"{head}\n").schedule == expected


@pytest.mark.parametrize(("text", "expected"), [("1%", Share(0.01)), ("100%", Share(1.0)), ("0", 0), ("250", 250)])
def test_reject_budgets(right: Callable[..., Pipeline], text: str, expected: object) -> None:
    assert right(f"rejects: {{max: {text}}}\n").rejects.max == expected


def test_a_number_from_the_environment(right: Callable[..., Pipeline]) -> None:
    p = right("retries: ${N}\ndescription: ${N}\nrejects: {max: '${M:-1%}'}\n", {"N": "7"})
    assert (p.retries, p.description, p.rejects.max) == (7, "7", Share(0.01))


def test_a_pipeline_is_frozen(right: Callable[..., Pipeline]) -> None:
    with pytest.raises(ValidationError):
        right().retries = 5  # type: ignore[misc]


def test_the_revision_covers_the_definition_and_nothing_else(right: Callable[..., Pipeline]) -> None:
    base = right("retries: 3\ntags: [a, b]\n").revision
    assert len(base) == 64
    assert right("# a comment\ntags:\n  - 'a'\n  - b\nretries: 0x3\nid: p\n").revision == base
    changed = [
        "retries: 4\ntags: [a, b]\n",
        "retries: 3\ntags: [b, a]\n",
        "retries: 3\n",
        "tags: [a, b]\nretries: '3'\n",
    ]
    assert base not in {right(text).revision for text in changed}
    assert loads(right("retries: 3\ntags: [a, b]\n").text, "q.yaml", {}).revision != base


def test_the_revision_is_of_the_text_not_of_the_machine(right: Callable[..., Pipeline]) -> None:
    first, second = (right("owner: ${WHO}\n", {"WHO": who}) for who in ("a", "b"))
    assert (first.owner, second.owner) == ("a", "b")
    assert first.revision == second.revision


def test_the_revision_is_the_same_in_every_process(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(WHOLE)
    code = f"from pathlib import Path; from airflow_datahub.spec import load; print(load(Path({str(path)!r})).revision)"
    for seed in ("1", "2"):
        root = Path(__file__).parents[2]
        environ = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)}
        result = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
        assert result.stdout.strip() == load(path).revision


def test_plan_takes_the_largest_of_the_steps() -> None:
    (stage,) = plan(loads(WHOLE, "p.yaml", {})).stages
    assert (stage.key, stage.steps) == ("extract-tidy-load", ("extract", "tidy", "load"))
    assert (stage.retries, stage.retry_delay, stage.timeout) == (4, timedelta(minutes=5), timedelta(hours=3))
    assert (stage.pool, stage.priority, stage.skipped, stage.disabled) == ("large", 7, None, ())
    assert stage.notes == (
        "extract: pages may shift while they are read",
        "tidy: flagged records carry `_errors`, which the load must have a place for",
    )


def test_plan_is_plain_data() -> None:
    planned = plan(loads(WHOLE, "p.yaml", {}))
    assert planned == plan(loads(WHOLE, "p.yaml", {}))
    data = planned.as_dict()
    assert json.loads(json.dumps(data)) == data
    assert data["pipeline_id"] == "p"
    assert (data["stages"][0]["retry_delay"], data["stages"][0]["timeout"]) == ("5m", "3h")


@pytest.mark.parametrize(
    ("off", "skipped"),
    [
        ("extract", "extract step 'extract' is off (enabled: false)"),
        ("load", "load step 'load' is off (enabled: false)"),
        ("tidy", None),
    ],
)
def test_steps_that_are_off(off: str, skipped: str | None) -> None:
    (stage,) = plan(loads(WHOLE.replace(f"key: {off}\n", f"key: {off}\n    enabled: false\n"), "p.yaml", {})).stages
    assert (stage.steps, stage.disabled, stage.skipped) == (("extract", "tidy", "load"), (off,), skipped)
    assert (stage.retries, stage.pool) == ((1 if off == "extract" else 4), ("small" if off == "tidy" else "large"))


def test_a_sink_that_remembers_nothing_is_noted(right: Callable[..., Pipeline]) -> None:
    assert plan(right()).stages[0].notes == ("load: nothing is remembered, every run begins at the start",)


def test_reading_specs_is_cheap_to_import() -> None:
    heavy = ["redis", "jinja2", "jsonschema", "croniter", "cel", "httpx", "aiohttp", "psycopg", "sqlalchemy", "airflow"]
    code = (
        "import sys; from airflow_datahub.spec import loads\n"
        "loads('version: 1\\nsteps:\\n- {key: e, type: extract, adapter: inline, config: {rows: []}}\\n"
        "- {key: l, type: load, adapter: stdout}\\n', 'p.yaml')\n"
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    result = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@given(text=from_regex(words._PLAIN_CRON, fullmatch=True))
def test_a_cron_text_that_is_not_asked_about_has_a_next_moment(text: str) -> None:
    assert croniter(text, datetime(2024, 1, 1, tzinfo=UTC)).get_next()
