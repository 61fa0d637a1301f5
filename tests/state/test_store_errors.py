"""What the store says when it cannot be used, and which kind of error it is."""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from cryptography.fernet import Fernet

from airflow_datahub.contract import Stream, UndefinedConnection
from airflow_datahub.demo.postgres import EmbeddedPostgres, free_port
from airflow_datahub.errors import ConfigurationError, RunFailed
from airflow_datahub.state import Reject
from airflow_datahub.state.store import Store


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home of the test, made."""
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def test_a_newer_schema_is_refused(opener: Callable[[], Store]) -> None:
    with opener() as store, store._database.writing() as writing:
        writing.exec_driver_sql("insert into datahub_schema values (99)")
    with pytest.raises(ConfigurationError, match=r"has schema version 99, .* knows up to 8: upgrade airflow-datahub"):
        opener()


def test_a_locked_file_says_so_after_its_wait(home: Path) -> None:
    with Store.open(wait=0.2) as store:
        other = sqlite3.connect(home / "airflow_datahub.db", isolation_level=None)
        other.execute("begin immediate")
        with pytest.raises(RunFailed, match=r"airflow_datahub.db stayed locked by another process for 0.2 s"):
            store.begin("events", "run-1", "abc", "cli")
        assert store.runs() == [], "reading goes on"
        other.close()
        store.begin("events", "run-1", "abc", "cli")


def test_a_creation_that_hangs_elsewhere_is_waited_for_only_so_long(home: Path) -> None:
    with (home / "airflow_datahub.db.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RunFailed, match=r"stayed locked .*airflow_datahub.db.lock is held"):
            Store.open(wait=0.1)


def test_a_locked_table_says_so_after_its_wait(shared: str) -> None:
    reject = Reject(0, "extract", None, None, "bad", {})
    with Store.open(wait=0.2) as store, psycopg.connect(shared) as other:
        other.execute("lock table datahub_run, datahub_reject")
        with pytest.raises(RunFailed, match="stayed locked"):
            store.add_rejects(Stream("events", "a>b"), "me", "run-1", "abc", 1, [reject], provisional=False)
        with pytest.raises(RunFailed, match=r"'datahub_store' \(127.0.0.1/test_.* stayed locked .* for 0.2 s"):
            store.begin("events", "run-1", "abc", "cli")
        other.rollback()
        store.begin("events", "run-1", "abc", "cli")


def test_a_file_that_is_no_database_is_left_as_it_is(home: Path) -> None:
    (home / "airflow_datahub.db").write_bytes(b"my notes, not a database" * 100)
    with pytest.raises(ConfigurationError, match="not a database"):
        Store.open()
    assert (home / "airflow_datahub.db").read_bytes().startswith(b"my notes")


def test_a_home_that_is_no_folder_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").touch()
    monkeypatch.setenv("AIRFLOW_HOME", str(home / "file"))
    with pytest.raises(ConfigurationError, match=r"file/airflow_datahub.db cannot be opened: .*AIRFLOW_HOME"):
        Store.open()


def test_a_key_file_that_holds_no_key_is_refused(home: Path) -> None:
    (home / "airflow_datahub.key").write_text("hunter2")
    with pytest.raises(ConfigurationError, match="no Fernet key") as caught:
        Store.open()
    assert "hunter2" not in str(caught.value)


def test_a_shared_store_wants_a_key(shared: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__CORE__FERNET_KEY")
    with pytest.raises(ConfigurationError, match=r"is shared, .* set AIRFLOW__CORE__FERNET_KEY"):
        Store.open()


def addresses(postgres: EmbeddedPostgres) -> dict[str, tuple[str, type[Exception], str]]:
    """Ways to get the connection wrong: its text, the error and words of it."""
    right = postgres.dsn("postgres")
    return {
        "password": (right.replace(postgres.password, "hunter2"), ConfigurationError, "password authentication failed"),
        "database": (postgres.dsn("nowhere"), ConfigurationError, '"nowhere" does not exist'),
        "extra": (f"{right}?sslmod=require", ConfigurationError, 'invalid connection option "sslmod"'),
        "port": (right.replace(str(urlsplit(right).port), str(free_port())), RunFailed, "refused"),
        "type": ("http://user:hunter2@host", ConfigurationError, "needs one of type 'postgres'"),
        "malformed": ("postgres://user:hunter2/@host/db", ConfigurationError, "is no URI"),
    }


@pytest.mark.parametrize("name", ["password", "database", "extra", "port", "type", "malformed"])
def test_a_connection_that_does_not_serve(
    name: str, postgres: EmbeddedPostgres, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, kind, words = addresses(postgres)[name]
    monkeypatch.setenv("AIRFLOW_CONN_DATAHUB_STORE", text)
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", Fernet.generate_key().decode())
    with pytest.raises(kind, match=words) as caught:
        Store.open()
    assert "'datahub_store'" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert list(home.iterdir()) == [], "a broken connection never means SQLite"


def test_a_store_that_is_named_must_be_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AIRFLOW_DATAHUB__STORE_CONNECTION", "ledger")
    with pytest.raises(UndefinedConnection, match="AIRFLOW_CONN_LEDGER"):
        Store.open()
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    ("executor", "named"),
    [
        ("CeleryExecutor", "CeleryExecutor"),
        ("LocalExecutor, KubernetesExecutor", "KubernetesExecutor"),
        ("far:airflow.providers.edge3.executors.EdgeExecutor", "EdgeExecutor"),
        ("LocalExecutor;team1=CeleryExecutor,pods:KubernetesExecutor", "CeleryExecutor, KubernetesExecutor"),
    ],
)
def test_a_file_is_refused_where_tasks_run_on_several_machines(
    executor: str, named: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "airflow.cfg").write_text(f"[core]\nexecutor = {executor}\n")
    with pytest.raises(ConfigurationError, match=rf"tasks of {named} on other machines .*AIRFLOW_CONN_DATAHUB_STORE"):
        Store.open()
    assert [path.name for path in home.iterdir()] == ["airflow.cfg"]
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "acme.executors.QuietLocalExecutor")
    Store.open().close()


def test_a_named_store_is_used(shared: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_DATAHUB_STORE")
    monkeypatch.setenv("AIRFLOW_CONN_LEDGER", shared)
    monkeypatch.setenv("AIRFLOW__AIRFLOW_DATAHUB__STORE_CONNECTION", "ledger")
    with Store.open() as store:
        store.begin("events", "run-1", "abc", "cli")
    with psycopg.connect(shared) as direct:
        assert direct.execute("select run_id from datahub_run").fetchall() == [("run-1",)]
    assert list(home.iterdir()) == []


def test_a_user_without_rights_is_a_matter_for_a_person(
    postgres: EmbeddedPostgres, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = urlsplit(database).path[1:]
    postgres.execute(f"create role reader_{name} login password 'hunter2'")
    address = f"postgresql://reader_{name}:hunter2@127.0.0.1:{postgres.port}/{name}"
    monkeypatch.setenv("AIRFLOW_CONN_DATAHUB_STORE", address)
    with pytest.raises(ConfigurationError, match="permission denied"):
        Store.open(key=Fernet.generate_key().decode())


def test_a_session_that_is_cut_off_can_be_tried_again(shared: str) -> None:
    with Store.open() as store:
        with pytest.raises(RunFailed, match="terminating connection"), store._database.writing() as writing:
            writing.exec_driver_sql("select pg_terminate_backend(pg_backend_pid())")
        store.begin("events", "run-1", "abc", "cli")
        assert store.run("events", "run-1")
