"""The bundle keeps the stubs of a local folder and hurts nothing else."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag

from airflow_datahub.dag_factory.bundle import SpecBundle
from airflow_datahub.spec import stub_of
from bench.parsing import write_specs
from tests.world import ROOT

SPEC = """version: 1
steps:
  - {key: extract, type: extract, adapter: inline, config: {rows: [{id: 1}]}}
  - {key: print, type: load, adapter: stdout, config: {}}
"""


def specs(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_text(SPEC)


def refresh(folder: Path) -> set[str]:
    """The Python files after a refresh."""
    SpecBundle(name="pipelines", path=str(folder)).refresh()
    return {path.name for path in folder.glob("*.py")}


def test_stubs_come_and_go_with_their_specs(tmp_path: Path) -> None:
    specs(tmp_path, "a.yaml", "b.yml")
    bundle = SpecBundle(name="pipelines", path=str(tmp_path))
    bundle.initialize()
    assert (tmp_path / "a.yaml.py").read_text() == stub_of("a.yaml")
    (tmp_path / "a.yaml").unlink()
    assert refresh(tmp_path) == {"b.yml.py"}
    assert {path.name for path in tmp_path.iterdir()} == {"b.yml", "b.yml.py"}


def test_what_somebody_else_wrote_stays(tmp_path: Path) -> None:
    specs(tmp_path, "a.yaml")
    (tmp_path / "a.yaml.py").write_text("mine = 1\n")
    (tmp_path / "gone.yaml.py").write_text(stub_of("gone.yaml") + "mine = 1\n")
    (tmp_path / "other.py").write_text(stub_of("other"))
    os.utime(tmp_path / "a.yaml.py", (1, 1))
    assert refresh(tmp_path) == {"a.yaml.py", "gone.yaml.py", "other.py"}
    assert (tmp_path / "a.yaml.py").read_text() == "mine = 1\n"
    assert (tmp_path / "a.yaml.py").stat().st_mtime == 1


def test_an_edited_spec_gives_its_stub_a_new_time_once(tmp_path: Path) -> None:
    specs(tmp_path, "a.yaml", "b.yaml")
    refresh(tmp_path)
    stubs = [tmp_path / f"{name}.yaml.py" for name in "ab"]
    for stub in stubs:
        os.utime(stub, (100, 100))
    os.utime(tmp_path / "a.yaml", (200, 200))
    os.utime(tmp_path / "b.yaml", (50, 50))
    refresh(tmp_path)
    edited, same = (stub.stat().st_mtime for stub in stubs)
    assert (edited > 200, same) == (True, 100)
    refresh(tmp_path)
    assert stubs[0].stat().st_mtime == edited


def test_a_bad_name_hurts_only_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    specs(tmp_path, "a.yaml", "my events.yaml", "z.yaml")
    refresh(tmp_path)
    specs(tmp_path, "a.prod.yaml")
    assert refresh(tmp_path) == {"a.yaml.py", "z.yaml.py"}
    assert f"{tmp_path}/my events.yaml:1:1: the file's name gives the id" in caplog.text
    assert f"{tmp_path}/a.prod.yaml:1:1: claims the id 'a' of 'a.yaml'" in caplog.text


def test_what_cannot_be_written_hurts_only_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    specs(tmp_path, "a.yaml", "z.yaml")
    long = "l" * 200 + "." + "m" * 45 + ".yaml"  # a file may be named so, but no stub beside it
    specs(tmp_path, long)
    with caplog.at_level(logging.ERROR):
        assert refresh(tmp_path) == {"a.yaml.py", "z.yaml.py"}
    assert f"{long}: its stub cannot be kept: File name too long" in caplog.text


def test_a_folder_that_is_not_there_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bundle = SpecBundle(name="pipelines", path=str(tmp_path / "gone"))
    bundle.initialize()
    bundle.refresh()
    assert "gone: no stub is written: No such file or directory" in caplog.text


def test_one_bad_spec_hurts_only_itself(tmp_path: Path) -> None:
    specs(tmp_path, "a.yaml", "z.yaml")
    (tmp_path / "bad.yaml").write_text(SPEC.replace("stdout", "stdut"))
    refresh(tmp_path)
    bag = DagBag(dag_folder=str(tmp_path), bundle_path=tmp_path, bundle_name="pipelines")
    assert set(bag.dags) == {"a", "z"}
    (problem,) = bag.import_errors.values()
    assert "did you mean 'stdout'?" in problem


PARSE = """
import json, sys
from pathlib import Path
import airflow.dag_processing.manager  # who forks has it
import structlog
from airflow.dag_processing.processor import DagFileParseRequest, _parse_file
from airflow_datahub.dag_factory.bundle import SpecBundle
from airflow_datahub.plugin.preloading import preload

folder = Path(sys.argv[1])
preload()
SpecBundle(name="pipelines", path=str(folder)).refresh()
before = set(sys.modules)
request = DagFileParseRequest(file=str(folder / "shop_0.yaml.py"), bundle_path=folder, bundle_name="pipelines")
result = _parse_file(request, structlog.get_logger())
print(json.dumps([len(result.serialized_dags), sorted(set(sys.modules) - before)]))
"""


def test_what_is_forked_to_parse_a_file_imports_nothing_but_the_stub(tmp_path: Path) -> None:
    """Each file is parsed by a process of its own: what that imports is paid again for each spec."""
    write_specs(tmp_path, 1)
    done = subprocess.run(
        [sys.executable, "-c", PARSE, str(tmp_path)], env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    dags, imported = json.loads(done.stdout.splitlines()[-1])
    assert dags == 1
    its_own = ("unusual_prefix_", "encodings.", "airflow.version")
    assert [name for name in imported if not name.startswith(its_own)] == []
