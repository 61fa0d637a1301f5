from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path

import httpx
import psycopg
import pytest

from airflow_datahub.demo import folders
from airflow_datahub.demo.__main__ import diagnosis, main
from airflow_datahub.demo.airflow import StandaloneAirflow
from airflow_datahub.demo.airflow_rest import AirflowRest, line
from airflow_datahub.demo.following import count, rate
from airflow_datahub.demo.postgres import EmbeddedPostgres, free_port
from airflow_datahub.errors import ConfigurationError, RunFailed

Until = Callable[[Callable[[], bool]], None]


def test_one_demo_a_folder(tmp_path: Path) -> None:
    second = pytest.raises(ConfigurationError, match=rf"another demo \(process {os.getpid()}\) runs in")
    with folders.held(tmp_path / "demo"), second, folders.held(tmp_path / "demo"):
        pass
    with folders.held(tmp_path / "demo"):
        pass


def test_a_second_demo_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with folders.held(tmp_path / "demo"):
        assert main(["--folder", str(tmp_path / "demo")]) == 1
    assert "another demo" in capsys.readouterr().out


def test_a_missing_dag_folder_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--folder", str(tmp_path / "demo"), "--dags", str(tmp_path / "nothing")]) == 1
    assert "say with --dags" in capsys.readouterr().out


def test_postgres_of_root_moves_out_of_a_private_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    place = folders.for_postgres(private / "postgres")
    assert place.is_relative_to(private) == (os.geteuid() != 0)
    place.mkdir(parents=True, exist_ok=True)
    assert folders.for_postgres(private / "postgres") == place
    if os.geteuid() == 0:
        shutil.rmtree(place.parent)  # as a cleaning of /tmp does
        assert folders.for_postgres(private / "postgres") != place


def test_postgres_of_root_runs_from_a_copy_of_programs_that_others_cannot_reach(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(folders, "enterable", lambda folder: False)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        with EmbeddedPostgres(Path(name, "server"), durable=False) as server:
            assert server.execute("select 1") == [(1,)]
        assert Path(name, "server", "programs").exists() == (os.geteuid() == 0)


def test_postgres_stays_where_it_can_be_reached() -> None:
    assert folders.for_postgres(Path("/usr/postgres")) == Path("/usr/postgres")


def test_count(postgres: EmbeddedPostgres, database: str) -> None:
    name = database.rpartition("/")[2]
    assert count(postgres, name, "ingested_events") == 0
    postgres.execute("create table ingested_events as select generate_series(1, 7)", name)
    assert count(postgres, name, "ingested_events") == 7


def test_rate_is_that_of_the_last_line() -> None:
    log = "x\n2026 INFO ingestion complete: 200,000 records in 2.41 s (82,988/s), 3 rejected\ny"
    assert rate({"a": log}) == "82,988"
    assert rate({"a": "nothing"}) is None
    assert rate({}) is None


def test_diagnosis_shows_logs_and_import_errors() -> None:
    text = diagnosis("run r: failed", {"load (failed)": "boom"}, {"dags/x.py": "SyntaxError"})
    assert text == "run r: failed\n--- log of load (failed)\nboom\n--- import error in dags/x.py\nSyntaxError"


def test_log_lines_show_fields_but_not_the_task_again() -> None:
    item = {"timestamp": "T", "level": "info", "event": "done", "rows": 3, "error": ["x"], "dag_id": "d", "ti_id": "i"}
    assert line(item) == 'T INFO done rows=3 error=["x"]'
    assert line("plain") == "plain"


def test_log_lines_show_what_went_wrong() -> None:
    detail = [
        {"exc_type": "RunFailed", "exc_value": "no answer", "frames": [{"lineno": 1}]},
        {"exc_type": "OSError", "exc_value": "gone", "frames": []},
    ]
    shown = line({"level": "error", "event": "Task failed", "error_detail": detail})
    assert shown == "ERROR Task failed error_detail=RunFailed: no answer; caused by OSError: gone"


def test_airflow_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    monkeypatch.setenv("AIRFLOW_HOME", "/elsewhere")
    monkeypatch.setenv("NO_PROXY", "example.com")
    airflow = StandaloneAirflow(
        tmp_path, tmp_path / "dags", connections={"w": {"conn_type": "http"}, "v": "http://h"}, environment={"A": "b"}
    )
    made = airflow.environment()
    airflow.close()
    assert made["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert made["AIRFLOW_HOME"] == str(tmp_path)
    assert (made["AIRFLOW_CONN_W"], made["AIRFLOW_CONN_V"]) == ('{"conn_type": "http"}', "http://h")
    assert made["A"] == "b"
    assert made["NO_PROXY"] == "127.0.0.1,localhost,example.com"


def test_airflow_secrets_are_made_once_and_private(tmp_path: Path) -> None:
    first, second = (StandaloneAirflow(tmp_path, tmp_path) for _ in range(2))
    assert first.secrets == second.secrets
    assert len(set(first.secrets.values())) == 4
    assert (tmp_path / "secrets.json").stat().st_mode & 0o077 == 0
    for airflow in (first, second):
        airflow.close()


def test_no_airflow_is_an_http_error() -> None:
    nobody = AirflowRest(f"http://127.0.0.1:{free_port()}", "admin", "x")
    with pytest.raises(httpx.ConnectError):
        nobody.health()
    nobody.close()


def test_free_port_prefers() -> None:
    port = free_port()
    assert free_port(port) == port


def opened(folder: Path) -> None:
    """Let the user through to whom root drops."""
    for each in takewhile(lambda place: place != Path(tempfile.gettempdir()), (folder, *folder.parents)):
        each.chmod(0o755)


def test_postgres_keeps_its_data_and_ends_with_its_parent(tmp_path: Path, until: Until) -> None:
    opened(tmp_path)
    program = "import sys, time; from pathlib import Path; from airflow_datahub.demo.postgres import EmbeddedPostgres\n"
    program += "server = EmbeddedPostgres(Path(sys.argv[1]), durable=False).start()\n"
    program += "server.execute('create table kept as select 1 as one')\nprint(server.port, flush=True); time.sleep(60)"
    server = EmbeddedPostgres(tmp_path / "server", durable=False)
    with subprocess.Popen([sys.executable, "-c", program, server.folder], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        server.port = int(parent.stdout.readline())
        assert server.execute("select one from kept") == [(1,)]
        parent.kill()
    with server:  # waits for the orphan of the killed process
        assert server.execute("select one from kept") == [(1,)]
    with pytest.raises(psycopg.OperationalError):
        server.execute("select 1")


def test_postgres_that_cannot_start_says_why(tmp_path: Path) -> None:
    opened(tmp_path)
    with pytest.raises(
        RunFailed, match=r'(?s)PostgreSQL did not start.*unrecognized configuration parameter "nonsense"'
    ):
        EmbeddedPostgres(tmp_path / "server", settings={"nonsense": "1"}).start()
