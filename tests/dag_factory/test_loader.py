"""One DAG file for a whole folder of specs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.definitions.context import Context
from airflow.sdk.exceptions import AirflowFailException
from airflow.serialization.serialized_objects import DagSerialization

from airflow_datahub.dag_factory import loader
from tests.dag_factory.test_bundle import SPEC, specs
from tests.world import ROOT

FILE = (ROOT / "docs" / "operations.md").read_text().partition("```python\n")[2].partition("```")[0]


@pytest.fixture
def pipelines(tmp_path: Path) -> Path:
    """A folder with two good specs and a bad one, beside the DAG file."""
    (tmp_path / "all.py").write_text(FILE)
    folder = tmp_path / "pipelines"
    folder.mkdir()
    specs(folder, "a.yaml", "z.yml")
    (folder / "bad.yaml").write_text(SPEC.replace("stdout", "stdut"))
    return folder


def parsed(folder: Path) -> DagBag:
    """What Airflow sees."""
    return DagBag(dag_folder=str(folder.parent), bundle_path=folder.parent, bundle_name="loader")


def test_one_bad_spec_hurts_only_itself_and_says_why(pipelines: Path) -> None:
    bag = parsed(pipelines)
    assert (bag.import_errors, set(bag.dags)) == ({}, {"a", "bad", "z"})
    assert [task.task_id for task in bag.dags["a"].tasks] == ["extract-print"]
    bad = bag.dags["bad"]
    assert (bad.tags, bad.is_paused_upon_creation, bad.schedule) == ({"bad spec"}, True, None)
    assert "pipelines/bad.yaml:4:39: " in str(bad.doc_md)
    (task,) = bad.tasks
    with pytest.raises(AirflowFailException, match=r"pipelines/bad.yaml:4:39: .*did you mean 'stdout'"):
        task.execute(Context())


def test_names_that_cannot_be_are_shown_beside_the_others(pipelines: Path) -> None:
    specs(pipelines, "a.yml", "my events.yaml")
    dags = parsed(pipelines).dags
    assert set(dags) == {"a", "a.yml", "bad", "my-20-events.yaml", "z"}
    assert "pipelines/a.yml:1:1: claims the id 'a' of 'a.yaml'" in str(dags["a.yml"].doc_md)
    assert dags["a"].tags == set()


def test_a_stub_beside_a_spec_is_refused(pipelines: Path) -> None:
    (pipelines / "a.yaml.py").write_text("")
    (problem,) = parsed(pipelines).import_errors.values()
    text = f"{pipelines}/a.yaml:1:1: has a stub, {pipelines}/a.yaml.py, and is loaded by load_folder as well"
    assert text in problem


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "all.py").write_text(FILE)
    (problem,) = parsed(tmp_path / "pipelines").import_errors.values()
    assert f"{tmp_path}/pipelines:1:1: cannot be read: No such file" in problem


def test_a_task_parses_its_own_spec_only(pipelines: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    load = loader.load
    monkeypatch.setattr(loader, "load", lambda path: (read.append(path.name), load(path))[1])
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "z")
    assert set(parsed(pipelines).dags) == {"z"}
    assert read == ["z.yml"]


def test_parsing_twice_gives_the_same_dags(pipelines: Path) -> None:
    first, second = (
        {name: json.dumps(DagSerialization.to_dict(dag)) for name, dag in parsed(pipelines).dags.items()}
        for _ in range(2)
    )
    assert first == second
