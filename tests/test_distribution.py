"""What `make dist` packs, as far as it is quick to see; the whole of it, `make dist` does."""

from __future__ import annotations

import configparser
import tomllib
from pathlib import Path

import pytest

from airflow_datahub import __version__
from tests import distribution
from tests.world import ROOT


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return distribution.build(tmp_path_factory.mktemp("dist"))


def test_nothing_is_missing_and_nothing_too_much(built: tuple[Path, Path]) -> None:
    assert distribution.complaints(*built) == []
    assert "airflow_datahub/py.typed" in distribution.names(built[0])


def test_a_file_that_is_not_packed_is_seen(built: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    there = distribution.sources()
    monkeypatch.setattr(distribution, "sources", lambda: {*there, "airflow_datahub/forgotten.sh"} - {sorted(there)[0]})
    told = distribution.complaints(*built)
    assert "the wheel lacks airflow_datahub/forgotten.sh" in told
    assert f"the wheel has {sorted(there)[0]}, which the source has not" in told


def test_entry_points_and_metadata_are_those_of_the_project_file(built: tuple[Path, Path]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    points = configparser.ConfigParser()
    points.read_string(distribution.read(built[0], "entry_points.txt"))
    assert {name: dict(points[name]) for name in points.sections()} == {
        "console_scripts": project["scripts"],
        **project["entry-points"],
    }
    metadata = distribution.metadata(built[0])
    assert (metadata["Name"], metadata["Version"]) == ("airflow-datahub", __version__)
    assert set(metadata.get_all("Provides-Extra") or ()) == set(project["optional-dependencies"])
