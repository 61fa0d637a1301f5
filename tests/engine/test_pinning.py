"""A run stays with the spec that its first try had."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_datahub.contract import Run, Silence
from airflow_datahub.engine import Outcome, run_pipeline, running
from airflow_datahub.engine.pinning import pinned
from airflow_datahub.errors import ConfigurationError, RunFailed, SpecError
from airflow_datahub.spec import Pipeline, loads
from airflow_datahub.state.store import Store

SPEC = """version: 1
params: {{note: {{default: {note}}}}}
steps:
  - key: {extract}
    type: extract
    adapter: tests.operators.endings:Endings
    config: {{how: {how}, note: "{{{{ params.note }}}}"}}
  - {{key: {load}, type: load, adapter: stdout, config: {{}}}}
"""


def spec(how: str = "well", note: str = "first", extract: str = "extract", load: str = "print") -> Pipeline:
    """The spec of a pipeline that ends so."""
    return loads(SPEC.format(how=how, note=note, extract=extract, load=load), "given.yaml")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(home=tmp_path) as opened:
        yield opened


class Heard(Silence):
    """Keeps what it is warned of."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warning(self, event: str, **fields: Any) -> None:
        self.warnings.append(event)


def attempt(store: Store, pipeline: Pipeline, run_id: str = "run-1", **params: str) -> tuple[Outcome, list[str]]:
    """One try of a run, and what it warned of."""
    heard = Heard()
    outcome = run_pipeline(pipeline, Run(pipeline="given", run_id=run_id, params=params, log=heard), store)
    return outcome, heard.warnings


def notes(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What the records that were printed say."""
    return [json.loads(line)["note"] for line in capsys.readouterr().out.splitlines()]


def test_a_later_try_has_the_spec_of_the_first(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    first, edited = spec("failed"), spec(note="second")
    with pytest.raises(RunFailed):
        attempt(store, first)
    capsys.readouterr()
    with pytest.raises(RunFailed, match="the server is away"):
        attempt(store, edited)
    assert notes(capsys) == ["first"]
    row = store.run("given", "run-1")
    assert row
    assert (row.revision, row.tries, row.state) == (first.revision, 2, "failed")
    assert [each.revision for each in store.revisions.all("given")] == [first.revision], "the other one never ran"


def test_a_twin_that_runs_what_it_has_parsed_would_be_seen(
    store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "begun", lambda parsed, *_: parsed)
    for pipeline in (spec("failed"), spec("failed", note="second")):
        with pytest.raises(RunFailed):
            attempt(store, pipeline)
    assert notes(capsys) == ["first", "second"]


def test_another_run_has_the_spec_as_it_is_then(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    attempt(store, spec())
    _, warnings = attempt(store, spec(note="second"), "run-2")
    assert (notes(capsys), warnings) == (["first", "second"], [])
    assert len(store.revisions.all("given")) == 2


def test_a_try_with_another_spec_says_so(store: Store) -> None:
    attempt(store, spec())
    _, warnings = attempt(store, spec(note="second"))
    assert warnings == ["spec_changed_since_the_run_began"]


def test_comments_and_layout_are_no_other_spec(store: Store) -> None:
    attempt(store, spec())
    commented = loads(f"# what a fine pipeline\n{spec().text}", "given.yaml")
    _, warnings = attempt(store, commented)
    assert warnings == []
    assert pinned(commented, "run-1", store) is commented


def test_what_the_run_is_told_stays_with_it(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    attempt(store, spec(), note="told")
    attempt(store, spec(note="second"), note="told")
    assert notes(capsys) == ["told", "told"]


def test_other_stages_are_refused_with_the_way_back(store: Store) -> None:
    first = spec()
    attempt(store, first)
    with pytest.raises(ConfigurationError) as caught:
        attempt(store, spec(extract="read"))
    assert "began with the stages extract-print, and the spec has been changed to read-print" in str(caught.value)
    assert f"airflow-datahub revisions revert given.yaml {first.revision[:12]}" in str(caught.value)
    row = store.run("given", "run-1")
    assert row
    assert row.state == "failed"
    assert row.error == str(caught.value)
    attempt(store, first)


def test_a_text_that_is_refused_by_now_is_named(store: Store) -> None:
    store.begin("given", "run-1", "4f2a" * 16, "cli", "version: 1\ncolour: red\n")
    with pytest.raises(SpecError, match=r"given\.yaml@4f2a4f2a4f2a:2:1: .*'colour'"):
        attempt(store, spec())
    row = store.run("given", "run-1")
    assert row
    assert row.state == "failed"


def test_a_run_of_a_release_that_kept_no_texts_cannot_go_on_with_another(store: Store) -> None:
    store.begin("given", "run-1", "4f2a" * 16, "cli")
    with pytest.raises(ConfigurationError, match=r"began with revision 4f2a4f2a4f2a, whose text .*; start a new run"):
        attempt(store, spec())


def test_looking_at_it_leaves_no_trace(store: Store) -> None:
    assert pinned(spec(), "run-1", store).revision == spec().revision
    assert (store.runs(), store.revisions.all("given")) == ([], [])
    attempt(store, spec())
    assert pinned(spec(note="second"), "run-1", store).text == spec().text


def test_a_wrong_param_is_in_the_ledger(store: Store) -> None:
    with pytest.raises(ConfigurationError, match="no param 'size'"):
        attempt(store, spec(), size="large")
    row = store.run("given", "run-1")
    assert row
    assert (row.state, row.tries) == ("failed", 1)
