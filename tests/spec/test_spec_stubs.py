"""Stubs: written beside the specs, the same bytes everywhere, only when something changes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from airflow_datahub.errors import SpecError
from airflow_datahub.spec import stub_of, write_stubs


def specs(directory: Path, *names: str) -> None:
    for name in names:
        (directory / name).write_text("version: 1\n")


def test_one_stub_a_spec(tmp_path: Path) -> None:
    specs(tmp_path, "b.yaml", "a.yml", "c.v2.yaml", ".hidden.yaml", "d.json", "e.yaml.txt")
    (tmp_path / "folder.yaml").mkdir()
    written = write_stubs(tmp_path)
    assert written == [tmp_path / name for name in ("a.yml.py", "b.yaml.py", "c.v2.yaml.py")]
    assert (tmp_path / "b.yaml.py").read_bytes() == (
        b'# airflow dag of b.yaml, written by "airflow-datahub stubs"\n'
        b"from airflow_datahub.dag_factory import build\n\ndag = build(__file__)\n"
    )
    compile(stub_of("b.yaml"), "b.yaml.py", "exec")
    assert not list(tmp_path.glob("*.tmp")) + list(tmp_path.glob(".*.tmp"))


def test_only_what_differs_is_written(tmp_path: Path) -> None:
    specs(tmp_path, "a.yaml", "b.yaml")
    write_stubs(tmp_path)
    os.utime(tmp_path / "a.yaml.py", (1, 1))
    (tmp_path / "b.yaml.py").write_text("changed")
    assert write_stubs(tmp_path) == [tmp_path / "b.yaml.py"]
    assert (tmp_path / "a.yaml.py").stat().st_mtime == 1
    assert write_stubs(tmp_path) == []


def test_check_writes_nothing(tmp_path: Path) -> None:
    specs(tmp_path, "a.yaml", "b.yaml")
    (tmp_path / "b.yaml.py").write_text(stub_of("b.yaml"))
    assert write_stubs(tmp_path, check=True) == [tmp_path / "a.yaml.py"]
    assert not (tmp_path / "a.yaml.py").exists()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a.yaml", "a.yml"], "a.yml:1:1: claims the id 'a' of 'a.yaml'; rename one of them"),
        (["a.prod.yaml", "a.yaml"], "a.yaml:1:1: claims the id 'a' of 'a.prod.yaml'"),
        (["my events.yaml"], "my events.yaml:1:1: the file's name gives the id"),
        (["a\nimport os.yaml"], ":1:1: the file's name gives the id"),
    ],
)
def test_names_that_cannot_be(tmp_path: Path, names: list[str], message: str) -> None:
    specs(tmp_path, *names, "z.yaml")
    with pytest.raises(SpecError) as caught:
        write_stubs(tmp_path)
    assert message in str(caught.value)
    assert not list(tmp_path.glob("*.py"))


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="No such file or directory"):
        write_stubs(tmp_path / "none")


def test_a_stub_can_be_read_by_whoever_runs_airflow(tmp_path: Path) -> None:
    specs(tmp_path, "a.yaml")
    (stub,) = write_stubs(tmp_path)
    assert stub.stat().st_mode & 0o777 == (tmp_path / "a.yaml").stat().st_mode & 0o777


def test_who_reads_a_stub_while_it_is_replaced_reads_the_whole_of_the_old_one(tmp_path: Path) -> None:
    specs(tmp_path, "a.yaml")
    (tmp_path / "a.yaml.py").write_text("old\n")
    with (tmp_path / "a.yaml.py").open() as reader:
        write_stubs(tmp_path)
        assert reader.read() == "old\n"
    assert (tmp_path / "a.yaml.py").read_text() == stub_of("a.yaml")
