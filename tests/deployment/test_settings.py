"""Each setting acts: on the connections as their readers see them, or in a run."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from airflow_datahub.demo.ingestion import environment
from airflow_datahub.environment import connection
from airflow_datahub.errors import ConfigurationError
from airflow_datahub.http.target import Target, target_of
from airflow_datahub.spec import load
from tests.deployment import FERNET_KEY
from tests.world import EVENTS, ROOT, World

NEEDED = {"DATABASE_URL": "postgresql://me:secret@db:5432/ingestion"}
LIVE = {**NEEDED, "API_MODE": "live", "API_BASE_URL": "https://api.example.com/v2", "DATASYNC_API_KEY": "k3y-k3y-k3y"}


def target(**settings: str) -> Target:
    return target_of(connection("datasync", environment({**NEEDED, **settings})))


def once(world: World, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    given = {"API_BASE_URL": f"{world.api.url}/api/v1", "DATABASE_URL": world.dsn, "AIRFLOW_HOME": str(world.home)}
    given["AIRFLOW__CORE__FERNET_KEY"] = FERNET_KEY
    return subprocess.run(
        [sys.executable, "-m", "airflow_datahub.demo.ingestion", *command], cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **given, **settings}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_the_mock_is_what_is_asked_by_default() -> None:
    assert target().base == "http://127.0.0.1:3100/api/v1"
    assert target(MOCK_API_URL="http://mock-api:3100/api/v1").base == "http://mock-api:3100/api/v1"
    assert target().trusted == {"127.0.0.1"}


def test_live_asks_the_real_one_and_no_internal_address() -> None:
    live = target(**LIVE)
    assert (live.base, live.trusted) == ("https://api.example.com:443/v2", frozenset())


@pytest.mark.parametrize("missing", ["API_BASE_URL", "DATASYNC_API_KEY"])
def test_live_refuses_to_start_without(missing: str, world: World) -> None:
    run = once(world, **{**LIVE, "DATABASE_URL": world.dsn, missing: ""})
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith(f"error: {missing} is not set: API_MODE=live needs")


def test_the_key_may_have_either_name() -> None:
    for given, key in (
        ({"DATASYNC_API_KEY": "one"}, "one"), ({"API_KEY": "two"}, "two"),
        ({"DATASYNC_API_KEY": "one", "API_KEY": "two"}, "one"), ({}, "demo-key"),
    ):  # fmt: skip
        assert connection("datasync", environment({**NEEDED, **given})).password == key


def test_times_and_retries() -> None:
    given = target(API_TIMEOUT_MS="2500", API_MAX_RETRIES="0", API_RETRY_BASE_MS="20", API_RETRY_MAX_MS="300").policy
    assert (given.total, given.retries, given.delay, given.longest_delay) == (2.5, 0, 0.02, 0.3)


def test_pages_and_transactions_as_the_spec_reads_them() -> None:
    pipeline = load(EVENTS, environment({**NEEDED, "API_PAGE_LIMIT": "250", "WRITE_BATCH_SIZE": "700"}))
    assert (pipeline.extract.source.paging.limit, pipeline.batch_size) == (250, 700)
    pipeline = load(EVENTS, environment({**NEEDED, "API_PAGE_LIMIT": "", "WRITE_BATCH_SIZE": ""}))
    assert (pipeline.extract.source.paging.limit, pipeline.batch_size) == (1000, 10_000)


def test_the_database_takes_the_rows_and_the_store() -> None:
    given = environment(NEEDED)
    for name in ("warehouse", "datahub_store"):
        found = connection(name, given)
        assert (found.type, found.host, found.port, found.schema) == ("postgres", "db", 5432, "ingestion")


def test_the_level_is_that_of_airflow_too() -> None:
    assert environment({**NEEDED, "LOG_LEVEL": "warning"})["AIRFLOW__LOGGING__LOGGING_LEVEL"] == "WARNING"


def test_the_example_states_the_defaults() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    example = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    given = {**example, **NEEDED}
    assert target(**given).policy == target().policy
    written, default = load(EVENTS, environment(given)), load(EVENTS, environment(NEEDED))
    assert written.extract.source.paging == default.extract.source.paging
    assert written.batch_size == default.batch_size


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("API_MODE", "prod", "write mock or live"),
        ("API_BASE_URL", "api.example.com/v1", "write https://host/path"),
        ("API_BASE_URL", "ftp://api.example.com", "write https://host/path"),
        ("API_BASE_URL", "http://[", "write https://host/path"),
        ("API_BASE_URL", "https://me:secret@host", "without login and password"),
        ("API_PAGE_LIMIT", "0", "a whole number from 1 to 1,000,000"),
        ("API_TIMEOUT_MS", "10s", "a whole number from 1 to 3,600,000"),
        ("API_MAX_RETRIES", "-1", "a whole number from 0 to 20"),
        ("API_RETRY_BASE_MS", "0.5", "a whole number from 1 to 60,000"),
        ("API_RETRY_MAX_MS", "9" * 30, "a whole number from 1 to 300,000"),
        ("WRITE_BATCH_SIZE", "many", "a whole number from 1 to 1,000,000"),
        ("LOG_LEVEL", "loud", "write one of debug, info, warning, error"),
        ("DATABASE_URL", "", "write postgresql://login:password@host:5432/database"),
        ("DATABASE_URL", "mysql://me:secret@db/ingestion", "write postgresql://"),
        ("DATABASE_URL", "postgresql://me:secret@db", "write postgresql://"),
        ("DATABASE_URL", "postgresql://me:sec/ret@db:x/ingestion", "special characters as %XX"),
    ],
)
def test_a_bad_value_is_named_and_no_secret_is_shown(name: str, value: str, advice: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        environment({**NEEDED, name: value})
    said = str(caught.value)
    assert said.startswith(f"{name} is ")
    assert advice in said
    assert "sec" not in said


def test_the_one_shot_brings_all_events_and_says_so(world: World) -> None:
    world.api.reset()
    run = once(world, API_PAGE_LIMIT="2500", WRITE_BATCH_SIZE="3000")
    assert run.returncode == 0, run.stderr
    assert "ingestion complete: 10,000 records" in run.stderr
    stats = world.api.stats()
    assert (stats["requests"], world.count()) == (4, stats["unique"])
    quiet = once(world, LOG_LEVEL="error")
    assert (quiet.returncode, quiet.stderr) == (0, "")


def test_a_wrong_key_fails_the_one_shot(world: World) -> None:
    run = once(world, API_KEY="wrong-key")
    assert run.returncode == 1
    assert "401" in run.stderr


def test_any_command_gets_the_connections(world: World) -> None:
    run = once(world, "sh", "-c", 'echo "$AIRFLOW_CONN_WAREHOUSE"; exit 7')
    assert (run.returncode, run.stdout) == (7, f"{world.dsn}\n")
