"""Adapters that are not ours: by entry point of an installed distribution, by a file in the plugins folder, by path."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.world import ROOT

SHOUT = '''
"""Say it loud."""
from airflow_datahub.contract import Transform

class Shout(Transform):
    field: str
    """What is shouted."""

    def compile(self, run):
        return lambda record: {**record, self.field: record[self.field].upper()}
'''
SPEC = """version: 1
steps:
  - {{key: rows, type: extract, adapter: inline, config: {{rows: [{{say: hello}}]}}}}
  - {{key: loud, type: transform, operators: [{{"{name}": {{field: say}}}}]}}
  - {{key: print, type: load, adapter: stdout, config: {{}}}}
"""


def output(folder: Path, name: str, **environment: str) -> str:
    spec = folder / "loud.yaml"
    spec.write_text(SPEC.format(name=name))
    run = subprocess.run(
        [sys.executable, "-m", "airflow_datahub.cli", "run", str(spec)],
        env={**os.environ, "AIRFLOW_HOME": str(folder / "home"), **environment},
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    return run.stdout + run.stderr


def test_by_entry_point(tmp_path: Path) -> None:
    (tmp_path / "acme.py").write_text(SHOUT)
    metadata = tmp_path / "acme-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[airflow_datahub.transforms]\nshout = acme\n")
    assert '{"say":"HELLO"}' in output(tmp_path, "shout", PYTHONPATH=str(tmp_path))


@pytest.mark.parametrize("named", [False, True])
def test_by_a_file_in_the_plugins_folder(tmp_path: Path, named: bool) -> None:
    plugins = tmp_path / ("elsewhere" if named else "home/plugins")
    folder = plugins / "datahub_adapters" / "transforms"
    folder.mkdir(parents=True)
    (folder / "shout.py").write_text(SHOUT)
    environment = {"AIRFLOW__CORE__PLUGINS_FOLDER": str(plugins)} if named else {}
    assert '{"say":"HELLO"}' in output(tmp_path, "shout", **environment)


def test_the_template_in_our_plugins_folder(tmp_path: Path) -> None:
    assert '{"say":"olleh"}' in output(tmp_path, "reverse", AIRFLOW__CORE__PLUGINS_FOLDER=str(ROOT / "plugins"))


def test_by_import_path(tmp_path: Path) -> None:
    (tmp_path / "acme.py").write_text(SHOUT)
    assert '{"say":"HELLO"}' in output(tmp_path, "acme:Shout", PYTHONPATH=str(tmp_path))


def test_one_that_cannot_be_imported_is_a_problem_at_its_line(tmp_path: Path) -> None:
    (tmp_path / "acme.py").write_text("import nothing_of_the_kind")
    assert "loud.yaml:4:" in output(tmp_path, "acme:Shout", PYTHONPATH=str(tmp_path))
