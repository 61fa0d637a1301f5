"""`list`, `describe` and `config`: what there is here, and how it is set."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_datahub import adapters
from airflow_datahub.adapters import KINDS, names
from airflow_datahub.environment import OPTIONS
from tests.cli.conftest import Call
from tests.world import EVENTS, EVENTS_FIXED

PIPELINES = EVENTS.parent


def rows(said: str) -> list[Any]:
    return [json.loads(line) for line in said.splitlines()]


@pytest.fixture
def of_acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A distribution of somebody else's with an operator that cannot be imported."""
    (tmp_path / "acme_shouting.py").write_text('"""Say it loud.\n\nVery."""\nimport nothing_of_the_kind\n')
    metadata = tmp_path / "acme-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[airflow_datahub.transforms]\nshout = acme_shouting:Shout\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    cached = (adapters.names, adapters.load)
    for each in cached:
        each.cache_clear()
    yield
    for each in cached:
        each.cache_clear()


def test_all_adapters_are_listed_with_what_they_do(call: Call) -> None:
    code, said = call("list")
    assert code == 0
    assert "\n  postgres  Write records into a table of PostgreSQL, each batch in one" in said
    assert [line for line in said.splitlines() if not line.startswith(" ")] == [f"{kind}:" for kind in KINDS]
    found = rows(call("list", "sinks", "--json")[1])
    assert {row["name"] for row in found} == set(names("sinks"))
    assert all(row["kind"] == "sinks" and row["text"] for row in found)


@pytest.mark.usefixtures("of_acme")
def test_an_adapter_of_others_is_listed_without_being_imported(call: Call) -> None:
    listed = [" ".join(line.split()) for line in call("list", "transforms")[1].splitlines()]
    assert "shout Say it loud. (from acme_shouting:Shout)" in listed


def test_pipelines_are_listed_and_the_wrong_ones_named(call: Call, tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(EVENTS_FIXED.replace("id: datasync_events", 'id: good\nschedule: "@hourly"'))
    (tmp_path / "often.yaml").write_text(
        EVENTS_FIXED.replace("id: datasync_events", "id: often\nschedule: {every: 15m}")
    )
    code, said = call("list", "pipelines", tmp_path)
    assert (code, said.splitlines()) == (0, [
        f"good  http_api → postgres  @hourly  {tmp_path}/good.yaml",
        f"often  http_api → postgres  every 15m  {tmp_path}/often.yaml",
    ])  # fmt: skip
    assert [row["steps"] for row in rows(call("list", "pipelines", tmp_path, "--json")[1])] == [
        ["extract", "tidy", "load"]
    ] * 2
    (tmp_path / "bad.yaml").write_text("version: 1\n")
    code, said = call("list", "pipelines", tmp_path)
    assert (code, f"{tmp_path}/bad.yaml:1:1: " in said, "good  " in said) == (2, True, True)


def test_only_pipelines_are_listed_by_folder(call: Call) -> None:
    code, said = call("list", "sinks", PIPELINES)
    assert (code, "only `list pipelines` takes files" in said) == (2, True)


def test_what_cannot_be_listed_is_a_wrong_call(call: Call) -> None:
    code, said = call("list", "dags/pipelines")
    assert (code, "'dags/pipelines' cannot be listed: there are all, sources" in said) == (2, True)


@pytest.mark.parametrize("name", [name for kind in KINDS for name in names(kind)])
def test_every_adapter_is_described(call: Call, name: str) -> None:
    code, said = call("describe", name)
    assert (code, "Example:\n  " in said) == (0, True)
    for row in rows(call("describe", name, "--json")[1]):
        assert {"name": name, "kind": row["kind"]}.items() <= row.items()
        assert row["text"]


def test_a_description_has_types_defaults_and_texts(call: Call) -> None:
    said = call("describe", "rename")[1]
    assert "\nGives:\n  - {id: a, event_type: click}\n" in said
    assert "  required  (boolean, default false)\n      Reject a record in which one of the fields is missing." in said
    [found] = rows(call("describe", "postgres", "--json")[1])
    fields = {field["name"]: field for field in found["fields"]}
    assert (fields["table"]["needed"], fields["strategy"]["default"], fields["table"]["type"]) == (
        True,
        "insert",
        "text",
    )
    assert [each["name"] for each in found["mappings"]] == ["Column"]


def test_an_import_path_is_described(call: Call) -> None:
    code, said = call("describe", "airflow_datahub.adapters.sinks.stdout:Stdout")
    assert (code, said.startswith("sink airflow_datahub.adapters.sinks.stdout:Stdout")) == (0, True)


@pytest.mark.parametrize(
    ("name", "why"),
    [("postgress", "did you mean 'postgres'?"), ("nowhere:It", "cannot be imported"), ("json:dumps", "is not a ")],
)
def test_an_adapter_that_there_is_not_is_a_wrong_call(call: Call, name: str, why: str) -> None:
    code, said = call("describe", name)
    assert (code, why in " ".join(said.split())) == (2, True), said


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An AIRFLOW_HOME in which nothing is set."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.delenv("AIRFLOW__CORE__FERNET_KEY", raising=False)
    return tmp_path


def test_every_option_is_shown_with_its_origin(call: Call, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "airflow.cfg").write_text("[core]\nfernet_key_cmd = echo hunter2\n[airflow_datahub]\nredis_conn_id = r\n")
    monkeypatch.setenv("AIRFLOW__AIRFLOW_DATAHUB__STORE_CONNECTION", "mine")
    code, said = call("config", "--json")
    found = {row["name"]: row for row in rows(said)}
    assert (code, list(found)) == (0, list(OPTIONS))
    origins = {name: (row["value"], row["origin"]) for name, row in found.items()}
    assert origins["store_connection"] == ("mine", "AIRFLOW__AIRFLOW_DATAHUB__STORE_CONNECTION")
    assert origins["redis_conn_id"] == ("r", f"[airflow_datahub] redis_conn_id in {home}/airflow.cfg")
    assert origins["encryption_key"] == ("***", f"[core] fernet_key in {home}/airflow.cfg (its form _cmd)")
    assert "hunter2" not in said
    assert "[airflow_datahub] store_connection = mine  (string; AIRFLOW__" in call("config")[1]


@pytest.mark.usefixtures("home")
def test_defaults_are_called_so(call: Call) -> None:
    [store, key, *_] = rows(call("config", "--json")[1])
    assert (store["value"], store["origin"]) == ("datahub_store", "default")
    assert (key["value"], key["origin"]) == (None, "default")


def test_options_that_there_are_not_are_named(call: Call, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "airflow.cfg").write_text("[airflow_datahub]\nredis = r\n")
    monkeypatch.setenv("AIRFLOW__AIRFLOW_DATAHUB__STOR_CONNECTION", "mine")
    monkeypatch.setenv("AIRFLOW__AIRFLOW_DATAHUB__ENCRYPTION_KEY_CMD", "false")
    code, said = call("config")
    assert code == 1
    assert "STOR_CONNECTION: there is no such option; did you mean 'store_connection'?" in said
    assert f"error: [airflow_datahub] redis in {home}/airflow.cfg: there is no such option" in said
    assert "ENCRYPTION_KEY (its form _CMD): the command ended with code 1" in said
