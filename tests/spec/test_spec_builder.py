"""A pipeline written in Python is the one that YAML gives."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_datahub import adapters
from airflow_datahub.adapters.sinks.postgres import Column, Postgres
from airflow_datahub.adapters.sources.http_api import HttpApi
from airflow_datahub.adapters.sources.inline import Inline
from airflow_datahub.adapters.transforms.rename import Rename
from airflow_datahub.contract import Source
from airflow_datahub.engine.trial import try_pipeline
from airflow_datahub.errors import SpecError
from airflow_datahub.http.paging import CursorPaging
from airflow_datahub.spec import load, loads
from airflow_datahub.spec.builder import Builder, adapter, pipeline
from airflow_datahub.testing import Subject
from tests.world import EVENTS


def events() -> Builder:
    """The events pipeline, step by step."""
    return (
        pipeline(
            "datasync_events",
            description="Events of the DataSync API, into the warehouse",
            schedule="*/15 * * * *",
            params={"since": {"type": ["string", "null"], "format": "date-time", "default": None}},
            retry_delay=timedelta(minutes=1),
            start_date=datetime(2024, 1, 1, tzinfo=UTC),
        )
        .extract(
            "http_api",
            connection="datasync",
            path="/events",
            query={"since": "{{ params.since }}"},
            records="data",
            paging={"type": "cursor", "param": "cursor", "next": "nextCursor", "more": "hasMore"},
        )
        .transform(
            adapter.parse_date(field="timestamp"), adapter.rename(from_="type", to="event_type", on_error="drop")
        )
        .step("tidy", timeout="5m")
        .load("postgres", connection="warehouse", table="events", key=["id"], columns={"data": {"from": "$"}})
        .test(
            "moments",
            given={"extract": [{"id": "a", "type": "click", "timestamp": 1705312200000}]},
            expect={"load": [{"id": "a", "event_type": "click", "timestamp": "2024-01-15T09:50:00Z"}]},
        )
    )


def test_a_round_trip_gives_the_same_pipeline(tmp_path: Path) -> None:
    built = events().build()
    assert [step.key for step in built.steps] == ["extract", "tidy", "load"]
    assert (built.retry_delay, built.steps[1].timeout) == (timedelta(minutes=1), timedelta(minutes=5))
    assert all(verdict.passed for verdict in try_pipeline(built))
    assert loads(events().yaml(), "datasync_events.yaml") == built
    path = events().write(tmp_path)
    assert load(path).revision == built.revision


def test_it_gives_what_the_same_words_in_yaml_give() -> None:
    by_hand = load(EVENTS)
    head: dict[str, Any] = {"schedule": by_hand.schedule, "params": by_hand.params, "tags": by_hand.tags}
    made = pipeline(by_hand.id, **head).extract(by_hand.extract.source)
    made = made.transform(*(each.transform for each in by_hand.steps[1].operators))  # type: ignore[union-attr]
    built = made.step("tidy").load(by_hand.load.sink).build()
    assert [(step.key, step.type) for step in built.steps] == [(step.key, step.type) for step in by_hand.steps]
    assert (built.extract.source, built.load.sink) == (by_hand.extract.source, by_hand.load.sink)
    assert (built.steps[1].operators, built.params) == (by_hand.steps[1].operators, by_hand.params)  # type: ignore[union-attr]


def test_adapters_as_objects_and_by_name_are_the_same() -> None:
    paging = CursorPaging(type="cursor", param="after", next="next")
    source = HttpApi(connection="api", path="/a", records="data", paging=paging, cursor_ttl=timedelta(hours=2))
    sink = Postgres(connection="w", table="t", key=("id",), columns={"a": Column(type="jsonb", from_="$"), "b": "text"})
    one = pipeline("one").extract(source).transform(Rename(from_="a", to="b")).load(sink)
    words = {"type": "cursor", "param": "after", "next": "next"}
    two = (
        pipeline("one")
        .extract("http_api", connection="api", path="/a", records="data", paging=words, cursor_ttl="2h")
        .transform(adapter.rename(from_="a", to="b"))
        .load(
            adapter.postgres(
                connection="w", table="t", key=["id"], columns={"a": {"type": "jsonb", "from": "$"}, "b": "text"}
            )
        )
    )
    assert one.build().steps == two.build().steps
    assert one.build().extract.source == source


@pytest.mark.parametrize("kind", ["sources", "transforms", "sinks"])
def test_every_adapter_can_be_given_as_an_object(kind: Any) -> None:
    for name in adapters.names(kind):
        example: Any = Subject(kind, name, adapters.names(kind)[name]).example()
        made = pipeline("one", params={"since": None})
        made = made.extract(example if kind == "sources" else Inline(rows=[]))
        made = made.transform(example) if kind == "transforms" else made
        built = made.load(example if kind == "sinks" else "stdout").build()
        step: Any = built.steps[{"sources": 0, "transforms": 1, "sinks": -1}[kind]]
        got = {"sources": "source", "sinks": "sink"}.get(kind)
        assert (getattr(step, got) if got else step.operators[0].transform) == example


texts = st.text(st.characters(exclude_categories=["Cs", "Cc", "Co", "Cn"]), max_size=20) | st.sampled_from(
    [
        "1e5",
        "0x1F",
        "0o17",
        "1_000",
        "no",
        "on",
        "~",
        "null",
        "12:30",
        "2024-01-01",
        "00123",
        ".5",
        "+1",
        "-",
        "<<",
        "=",
        "a: b",
        "# c",
        "${",
        "*a",
    ]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(texts, values, max_size=4))
def test_every_value_comes_back_as_it_was(record: dict[str, Any]) -> None:
    escaped = _escaped(record)
    built = pipeline("one").extract("inline", rows=[escaped]).load("stdout").build({})
    assert built.extract.source.rows == [record]  # type: ignore[attr-defined]


def _escaped(value: Any) -> Any:
    """`${` begins a variable of the environment, as in YAML; keys are never replaced."""
    if isinstance(value, str):
        return value.replace("${", "$${")
    if isinstance(value, dict):
        return {key: _escaped(each) for key, each in value.items()}
    return [_escaped(each) for each in value] if isinstance(value, list) else value


def test_everything_wrong_is_said_at_its_line_of_python() -> None:
    here = "spec/test_spec_builder.py"
    with pytest.raises(SpecError) as caught:
        (
            pipeline("one", colour="red")
            .extract("http_apy")
            .transform(adapter.rename(frm="a", to="b"))
            .load("stdout", colour="red")
            .build()
        )
    first, *others = [(problem.file, problem.line, problem.message) for problem in caught.value.problems]
    assert first == (here, first[1], "no field 'colour'")
    assert others == [
        (here, first[1] + 1, "step 'extract': no source 'http_apy'; did you mean 'http_api'?"),
        (here, first[1] + 2, "step 'transform': no field 'frm'; did you mean 'from'?"),
        (here, first[1] + 3, "step 'load': no field 'colour'"),
    ]


class Local(Source):
    """A class that a spec can name by its import path."""


@dataclass
class _Odd:
    value: int = 0


def test_adapters_of_others_are_named_by_their_path() -> None:
    built = pipeline("one").extract(Local()).load("stdout").build()
    assert built.extract.adapter == "tests.spec.test_spec_builder:Local"

    class Inside(Source):
        pass

    with pytest.raises(SpecError, match=r"step 'extract': .*Inside cannot be imported: put the class into a module"):
        pipeline("one").extract(Inside())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pipeline("a b").extract("inline", rows=[]).yaml(), "a pipeline's id is made of letters"),
        (lambda: pipeline("a", tags=_Odd()).yaml(), "text, numbers, lists and mappings, not _Odd"),
        (lambda: pipeline("a").extract("inline", rows=[{1: 2}]).yaml(), "step 'extract': a key is text, not 1"),
        (lambda: pipeline("a").extract("inline", rows=[float("nan")]).yaml(), "nan is no number"),
        (lambda: pipeline("a").extract(Inline(rows=[]), rows=[]), "rows: fields belong to the adapter"),
        (lambda: pipeline("a").transform({}), "an operator is given by name"),
    ],
)
def test_what_a_spec_cannot_hold_is_refused(make: Any, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        make()
    assert message in str(caught.value)
    assert str(caught.value).splitlines()[1].startswith("spec/test_spec_builder.py:")
