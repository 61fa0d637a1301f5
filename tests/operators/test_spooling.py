"""Extract, transform and load in tasks of their own: killed, stopped and run again, nothing is lost or doubled."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException
from cryptography.fernet import Fernet
from msgspec import Raw

from airflow_datahub.adapters.sinks.postgres import Postgres
from airflow_datahub.contract import Batch
from airflow_datahub.errors import RunFailed, SpecError
from airflow_datahub.operators import ExtractOperator, IngestOperator, LoadOperator, TransformOperator, adapter
from airflow_datahub.postgres.writing import TableWriter
from airflow_datahub.spool import folder as folders
from airflow_datahub.spool.folder import Folder
from airflow_datahub.spool.handed import Handed
from airflow_datahub.spool.spool import OneWay, _Spooling
from airflow_datahub.state.store import Store
from tests.operators.numbers import Numbers
from tests.operators.test_stage_operator import context

SMALL = {"batch_size": 250}
APPEND = Postgres(
    connection="warehouse", table="numbers", strategy="append", columns={"id": "bigint", "twice": "bigint"}
)
ALL = 1_050


class Chain:
    """One DAG of three tasks, and what is left of them between their tries."""

    def __init__(self, home: Path, warehouse: Any):
        self.home, self.warehouse = home, warehouse
        self.until = ALL
        self.sink: Postgres = APPEND

    def tasks(self) -> tuple[ExtractOperator, TransformOperator, LoadOperator]:
        """The DAG, parsed anew as each task does."""
        with DAG("spooled", schedule=None, start_date=datetime(2024, 1, 1), max_active_runs=1):
            extract = ExtractOperator(task_id="extract", source=Numbers(until=self.until), throughput=SMALL)
            transform = TransformOperator(
                task_id="double", records=extract.output, throughput=SMALL,
                transforms=[adapter.expression(field="twice", value="record.id * 2")],
            )  # fmt: skip
            load = LoadOperator(task_id="load", records=transform.output, sink=self.sink, throughput={"batch_size": 90})
        return extract, transform, load

    def extract(self, run: str = "run-1") -> Any:
        """Run it; its manifest."""
        return perform(self.tasks()[0], run)

    def transform(self, given: Any, run: str = "run-1") -> Any:
        """Run it; its manifest."""
        return perform(self.tasks()[1], run, given)

    def load(self, given: Any, run: str = "run-1") -> Any:
        """Run it; what it counted."""
        return perform(self.tasks()[2], run, given)

    def run(self, run: str) -> Any:
        """All three, one after the other."""
        return self.load(self.transform(self.extract(run), run), run)

    def check(self, until: int = ALL) -> None:
        """Everything is there, once, and nothing of the files."""
        found = [row[0] for row in self.warehouse("select id from numbers order by 1")]
        assert sorted(set(range(until)) - set(found)) == [], "lost"
        assert len(found) == until, "doubled"
        assert self.warehouse("select count(*) from numbers where twice <> id * 2") == [(0,)]
        assert list((self.home / "airflow_datahub_spool").rglob("*.zst")) == []


def perform(operator: IngestOperator, run: str, given: Any = None) -> Any:
    """What Airflow does of a task, as far as it matters here."""
    task: Any = operator.prepare_for_execution()
    task.inputs |= {} if given is None else {"input_1": given}
    around = context()
    around["dag_run"].run_id = run
    return task.execute(around)


def killed(work: Callable[[], Any], owner: Any, name: str, nth: int, *, before: bool = False) -> bool:
    """Whether the work, in a process of its own, was killed when it had called that for the nth time."""
    pid = os.fork()
    if pid == 0:
        real, calls = getattr(owner, name), iter(range(1, 1_000))

        def deadly(*arguments: Any, **named: Any) -> Any:
            due = next(calls) == nth
            if due and before:
                os.kill(os.getpid(), signal.SIGKILL)
            result = real(*arguments, **named)
            if due:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        setattr(owner, name, deadly)
        try:
            work()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


@pytest.fixture
def chain(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Chain]:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", database)

    def ask(sql: str) -> list[Any]:
        with psycopg.connect(database, autocommit=True) as connection:
            return connection.execute(sql.encode()).fetchall()

    return Chain(tmp_path, ask)


def test_each_run_brings_what_is_new(chain: Chain) -> None:
    assert chain.run("run-1")["records"] == ALL
    chain.check()
    chain.until = 2_000
    assert chain.run("run-2")["records"] == 950
    chain.check(2_000)
    assert chain.run("run-3")["records"] == 0
    chain.check(2_000)
    with Store.open() as store:
        steps = store.steps("spooled__load", "run-2")
    assert (steps["extract"].records_in, steps["load"].inserted) == (950, 950)


POINTS = [
    ("extract", Folder, "write", False),
    ("extract", Folder, "write", True),
    ("transform", Folder, "write", False),
    ("load", TableWriter, "commit", False),
    ("load", TableWriter, "commit", True),
]


@pytest.mark.kill
@pytest.mark.parametrize(("step", "owner", "name", "before"), POINTS)
def test_a_kill_loses_and_doubles_nothing(chain: Chain, step: str, owner: Any, name: str, before: bool) -> None:
    given: Any = None
    for each in ("extract", "transform", "load"):
        work = partial(getattr(chain, each), *(() if given is None else (given,)))
        if each == step:
            assert killed(work, owner, name, 2, before=before)
            assert killed(work, owner, name, 1, before=before)
        given = work()
    chain.check()


@pytest.mark.kill
def test_a_kill_between_the_load_and_the_position_is_made_good(chain: Chain) -> None:
    from airflow_datahub.state.positions import Positions

    given = chain.transform(chain.extract())
    assert killed(lambda: chain.load(given), Positions, "move", 1, before=True)
    assert killed(lambda: chain.load(given), Positions, "move", 1)
    assert chain.load(given)["records"] == 0
    chain.check()
    chain.run("run-2")
    chain.check()


@pytest.mark.kill
def test_a_later_run_goes_on_with_what_a_failed_one_left(chain: Chain) -> None:
    given = chain.transform(chain.extract())
    assert killed(lambda: chain.load(given), TableWriter, "commit", 2)
    chain.until = 1_300
    chain.run("run-2")
    chain.check(1_300)


class Twins:
    """Deliberately broken, to show that the tests above see it."""

    @staticmethod
    def half_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
        """Files that are not whole or absent."""

        def create(place: Path, content: bytes) -> bool:
            if place.exists():
                return False
            place.write_bytes(content[: len(content) // 2])
            if place.suffix == ".zst":
                Folder.half(place)  # type: ignore[attr-defined]
            place.write_bytes(content)
            return True

        monkeypatch.setattr(Folder, "half", lambda place: None, raising=False)
        monkeypatch.setattr(folders, "_create", create)

    @staticmethod
    def start_again(monkeypatch: pytest.MonkeyPatch) -> None:
        """Files of earlier tries that are not gone on from."""
        monkeypatch.setattr(_Spooling, "resume", lambda self: self._begun)
        monkeypatch.setattr(Folder, "write", _appended(Folder.write))

    @staticmethod
    def position_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
        """A reader that begins each try at the start of a file, whatever of it was loaded."""
        monkeypatch.setattr(Handed, "read", _without_skip(Handed.read))

    @staticmethod
    def position_first(monkeypatch: pytest.MonkeyPatch) -> None:
        """A load that is not told apart from one that has come to its end."""
        monkeypatch.setattr(LoadOperator, "_load", _position_first(LoadOperator._load))


def _appended(write: Any) -> Any:
    def anew(self: Folder, checkpoint: Any, lines: Any, paired: Any, before: Any) -> Any:
        from dataclasses import replace

        last = self.last()
        return write(self, replace(checkpoint, version=last.checkpoint.version + 1 if last else 1), lines, paired, last)

    return anew


def _without_skip(read: Any) -> Any:
    def anew(self: Handed, run: Any, cursor: Any) -> Any:
        from airflow_datahub.contract import Batch

        if cursor is not None:
            yield Batch([], cursor=cursor, pages=0)
        yield from read(self, run, cursor)

    return anew


def _position_first(load: Any) -> Any:
    def anew(self: LoadOperator, given: Any, context: Any) -> Any:
        from dataclasses import replace

        from airflow_datahub.operators.spooling import _stream
        from airflow_datahub.spool.folder import checkpoint_of

        to = replace(checkpoint_of(given.origin["checkpoint"]), version=1, owner=self._owner(given))
        with Store.open() as store:
            store.positions.move({_stream(given.origin): to})
        return load(self, given, context)

    return anew


@pytest.mark.kill
@pytest.mark.parametrize(
    ("twin", "step", "owner", "name", "wrong"),
    [
        (Twins.half_a_file, "extract", Folder, "half", "False = killed"),
        (Twins.start_again, "extract", Folder, "write", "doubled"),
        (Twins.position_forgotten, "load", TableWriter, "commit", "doubled"),
        (Twins.position_first, "load", TableWriter, "commit", "lost|False = killed"),
    ],
)
def test_the_tests_see_a_broken_twin(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, twin: Any, step: str, owner: Any, name: str, wrong: str
) -> None:
    twin(monkeypatch)
    with pytest.raises(AssertionError, match=wrong):
        test_a_kill_loses_and_doubles_nothing(chain, step, owner, name, False)


def test_a_try_that_was_thought_dead_cannot_write_on(chain: Chain) -> None:
    real, done = Folder.write, list[Any]()

    def overtaken(self: Folder, checkpoint: Any, *rest: Any) -> Any:
        if checkpoint.version == 2 and not done:
            done.append(None)
            done[0] = chain.extract()
        return real(self, checkpoint, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Folder, "write", overtaken)
        with pytest.raises(AirflowFailException, match=r"another try has written .*000002.*; this try ends"):
            chain.extract()
    chain.load(chain.transform(done[0]))
    chain.check()


def test_two_readers_are_refused(chain: Chain) -> None:
    given = chain.extract()
    chain.transform(given)
    with pytest.raises(AirflowFailException, match="is read by 'spooled__double' already"):
        chain.load(given)


def test_a_run_beside_another_loads_nothing(chain: Chain) -> None:
    given = chain.transform(chain.extract())
    other = dict(given)
    chain.load(given)
    other["spool"] = "another"
    with pytest.raises(AirflowFailException, match="another run has loaded from the same position meanwhile"):
        chain.load(other, "run-2")
    chain.check()


def test_files_that_were_changed_are_refused(chain: Chain) -> None:
    given = chain.extract()
    files = sorted((chain.home / "airflow_datahub_spool").rglob("*.zst"))
    assert len(files) == given["files"] > 2
    files[1].write_bytes(files[2].read_bytes())
    with pytest.raises(RunFailed, match=r"000001\.jsonl\.zst, or the file behind it, is not the one"):
        chain.transform(given)
    files[1].unlink()
    with pytest.raises(RunFailed, match=r"000002\.jsonl\.zst cannot be read: .*No such file"):
        chain.transform(given)


def test_a_source_that_asks_for_something_else_is_refused(chain: Chain) -> None:
    chain.run("run-1")
    with DAG("spooled", schedule=None, start_date=datetime(2024, 1, 1), max_active_runs=1):
        other = ExtractOperator(task_id="extract", source=Numbers(until=5, name="other"))
    with pytest.raises(AirflowFailException, match=r"has changed since the checkpoint.*another `pipeline_id`"):
        perform(other, "run-2")


def test_replacing_wants_the_whole(chain: Chain) -> None:
    chain.sink = Postgres(connection="warehouse", table="numbers", strategy="replace")
    chain.run("run-1")
    chain.until = 2_000
    with pytest.raises(AirflowFailException, match="say full=True to the ExtractOperator"):
        chain.run("run-2")
    assert chain.warehouse("select count(*) from numbers") == [(ALL,)]
    with DAG("whole", schedule=None, start_date=datetime(2024, 1, 1), max_active_runs=1):
        extract = ExtractOperator(task_id="extract", source=Numbers(until=2_000), full=True)
        load = LoadOperator(task_id="load", records=extract.output, sink=chain.sink)
    for run in ("run-1", "run-2"):
        assert perform(load, run, perform(extract, run))["records"] == 2_000
        assert chain.warehouse("select count(*) from numbers") == [(2_000,)]


def test_a_record_that_nobody_changed_is_written_once(tmp_path: Path) -> None:
    spooling = _Spooling(Folder(tmp_path), None, OneWay())
    raw = [Raw(b'{"id": 1, "n": 1.10,\n "t": "\\u00e9 "}')]
    made = spooling.prepare(Batch([{"id": Raw(b"1")}], origins=raw))
    assert made.lines() == ({"": [b'[{"id":1},{"id":1,"n":1.10,"t":"\\u00e9 "}]']}, True)
    fields = {"id": 1, "n": Raw(b"1.10"), "t": Raw(b'"\\u00e9 "')}
    made = spooling.prepare(Batch([fields], origins=raw))
    assert made.lines() == ({"": [b'{"id":1,"n":1.10,"t":"\\u00e9 "}']}, False)


def test_records_keep_what_they_were_when_they_came(chain: Chain) -> None:
    rows = [{"id": 1, "n": 12345678901234567890.5, "t": "a\nb"}, {"id": 2, "n": "x"}]
    columns = {"id": "bigint", "n": "numeric", "raw": {"type": "jsonb", "from": "$"}}
    with DAG("origins", schedule=None, start_date=datetime(2024, 1, 1), max_active_runs=1):
        extract = ExtractOperator(
            task_id="extract", source=adapter.inline(rows=rows), transforms=[adapter.to_number(field="n", decimal=True)]
        )
        sink = adapter.postgres(connection="warehouse", table="numbers", key=["id"], columns=columns)
        load = LoadOperator(task_id="load", records=extract.output, sink=sink)
    given = perform(extract, "run-1")
    assert (given["records"], given["rejected"]) == (1, 1)
    perform(load, "run-1", given)
    assert chain.warehouse("select id, raw->>'t' from numbers") == [(1, "a\nb")]


def test_workers_on_several_machines_want_a_folder_that_they_share(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_DATAHUB_STORE", os.environ["AIRFLOW_CONN_WAREHOUSE"])
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", Fernet.generate_key().decode())
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    with pytest.raises(AirflowFailException, match=r"name one by the option `spool` of .airflow_datahub."):
        chain.extract()
    for place in (str(tmp_path / "mounted"), "memory://bucket/spool"):
        monkeypatch.setenv("AIRFLOW__AIRFLOW_DATAHUB__SPOOL", place)
        given = chain.extract(place)
        assert chain.load(chain.transform(given, place), place)["records"] == (ALL if "mounted" in place else 5)
        chain.until += 5
    chain.check(ALL + 5)


def test_files_want_an_operator_that_knows_them(chain: Chain) -> None:
    with DAG("wrong", schedule=None, start_date=datetime(2024, 1, 1), max_active_runs=1):
        extract = ExtractOperator(task_id="extract", source=Numbers(until=1))
        ingest = IngestOperator(task_id="load", source=extract.output, sink=APPEND)
    with pytest.raises(AirflowFailException, match="files of an ExtractOperator want a LoadOperator"):
        perform(ingest, "run-1", perform(extract, "run-1"))


def test_what_runs_left_is_swept(chain: Chain) -> None:
    chain.run("run-1")
    folder = chain.home / "airflow_datahub_spool" / "spooled__extract"
    for name in ("v0", "old", "new"):
        (folder / name).mkdir(parents=True)
    os.utime(folder / "old", (0, 0))
    chain.extract("run-2")
    assert sorted(each.name for each in folder.iterdir()) == ["new", "v1"]


def test_overlapping_runs_are_refused_when_the_dag_is_parsed() -> None:
    with DAG("many", schedule=None, start_date=datetime(2024, 1, 1)), pytest.raises(SpecError) as caught:
        ExtractOperator(task_id="extract", source=Numbers(until=1))
    assert "step 'extract': its runs share one position in the source; give the DAG max_active_runs=1" in str(
        caught.value
    )


def test_a_replay_is_none_of_its_business(chain: Chain) -> None:
    task: Any = chain.tasks()[0].prepare_for_execution()
    around = context()
    around["dag_run"].conf = {"datahub_replay": {}}
    with pytest.raises(AirflowFailException, match="know nothing of a replay"):
        task.execute(around)
    assert list((chain.home / "airflow_datahub_spool").rglob("*.zst")) == []
