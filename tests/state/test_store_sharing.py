"""Many processes, forks and kills: one set of tables, one key, nothing lost."""

from __future__ import annotations

import multiprocessing
import os
import signal
import stat
import threading
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from airflow_datahub.contract import Silence, Stream
from airflow_datahub.state import Counters, Reject
from airflow_datahub.state.store import Store

EVENTS = Stream("events", "extract>load")
FORK = multiprocessing.get_context("fork")


def home() -> Path:
    """The home of the test, made."""
    folder = Path(os.environ["AIRFLOW_HOME"])
    folder.mkdir(exist_ok=True)
    return folder


def in_children(
    count: int, work: Callable[[int, Barrier], None], meanwhile: Callable[[], None] = lambda: None
) -> list[int | None]:
    """Fork `count` children that do the work at once; how each ended."""
    together = FORK.Barrier(count)
    children = [FORK.Process(target=work, args=(number, together)) for number in range(count)]
    for child in children:
        child.start()
    meanwhile()
    for child in children:
        child.join(30)
        child.kill()
        child.join()
    return [child.exitcode for child in children]


def write(store: Store, number: int) -> None:
    """Something of everything."""
    store.begin("events", f"run-{number}", "abc", "cli")
    store.save_steps("events", f"run-{number}", {"extract": Counters(records_in=number)})
    rejects = [Reject(number, "extract", None, None, "bad", {"id": number})]
    store.add_rejects(EVENTS, f"owner-{number}", f"run-{number}", "abc", 1, rejects, provisional=False)
    store.end("events", f"run-{number}", "success")


def test_eight_processes_open_a_fresh_store_at_once(opener: Callable[[], Store]) -> None:
    def work(number: int, together: Barrier) -> None:
        together.wait(30)
        with opener() as store:
            write(store, number)

    assert in_children(8, work) == [0] * 8
    with opener() as store:
        assert {row.run_id for row in store.runs()} == {f"run-{number}" for number in range(8)}
        assert sorted(row.record["id"] for row in store.rejects()) == list(range(8)), "they all found the same key"


def test_a_store_goes_through_a_fork_and_through_threads(opener: Callable[[], Store]) -> None:
    store = opener()
    write(store, 1000)

    def work(number: int, together: Barrier) -> None:
        together.wait(30)
        for each in range(10):
            write(store, number * 10 + each)

    def in_threads() -> None:
        threads = [threading.Thread(target=write, args=(store, 100 + number)) for number in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert in_children(4, work, in_threads) == [0] * 4
    assert {row.run_id for row in store.runs(limit=100)} == {f"run-{n}" for n in [*range(40), *range(100, 105), 1000]}
    assert len(store.rejects()) == 46


def killed_at(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Open a fresh store in a child that is killed where it would call `os.<name>`."""

    def work(number: int, together: Barrier) -> None:
        monkeypatch.setattr(os, name, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        Store.open()

    assert in_children(1, work) == [-signal.SIGKILL]


@pytest.mark.parametrize("name", ["fsync", "link", "unlink"])
def test_a_kill_while_the_key_is_made_leaves_it_whole_or_absent(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    killed_at(name, monkeypatch)
    key = home() / "airflow_datahub.key"
    assert key.exists() == (name == "unlink")
    before = key.read_bytes() if key.exists() else None
    with Store.open() as store:
        write(store, 1)
    assert Fernet(key.read_bytes())
    assert before in (None, key.read_bytes())
    with Store.open() as store:
        assert store.rejects()[0].record == {"id": 1}


def test_a_kill_while_the_tables_are_made_leaves_none(opener: Callable[[], Store]) -> None:
    def work(number: int, together: Barrier) -> None:
        def kill(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
            if "CREATE INDEX" in statement:
                os.kill(os.getpid(), signal.SIGKILL)

        sa.event.listen(sa.Engine, "before_cursor_execute", kill)
        opener()

    assert in_children(1, work) == [-signal.SIGKILL]
    with opener() as store:
        write(store, 1)
        assert store.run("events", "run-1")


def test_the_files_are_their_owner_s_alone() -> None:
    before = os.umask(0)
    try:
        with Store.open() as store, store._database.reading() as reading:
            reading.exec_driver_sql("select * from datahub_run")
            write(store, 1)
            files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in home().iterdir()}
    finally:
        os.umask(before)
    names = ["airflow_datahub.db", "airflow_datahub.db-shm", "airflow_datahub.db-wal", "airflow_datahub.db.lock"]
    assert files == dict.fromkeys([*names, "airflow_datahub.key"], 0o600)


def test_making_a_key_is_said_once() -> None:
    class Lines(Silence):
        def __init__(self) -> None:
            self.said: list[tuple[str, Any]] = []

        def info(self, event: str, **fields: Any) -> None:
            self.said.append((event, fields["path"]))

    lines = Lines()
    for _ in range(3):
        Store.open(log=lines).close()
    assert lines.said == [("encryption_key_made", str(home() / "airflow_datahub.key"))]


def test_what_the_file_s_key_encrypted_stays_readable_once_a_key_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.open() as store:
        write(store, 1)
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", Fernet.generate_key().decode())
    with Store.open() as store:
        write(store, 2)
    (home() / "airflow_datahub.key").unlink()
    with Store.open() as store:
        assert [row.record for row in store.rejects()] == [{"id": 2}, None], "the configured key encrypts"


def test_a_configured_key_needs_no_file() -> None:
    with Store.open(key=Fernet.generate_key().decode()) as store:
        write(store, 1)
    assert not (home() / "airflow_datahub.key").exists()
