"""Pages of encoded records through a stage into PostgreSQL: what stays undecoded changes nothing but the time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec import Raw

from airflow_datahub.contract import Batch, Connection, Run, nothing_opaque
from airflow_datahub.engine import run_pipeline
from airflow_datahub.engine.chain import compiled
from airflow_datahub.engine.projection import decoded
from airflow_datahub.environment import connection as from_environment
from airflow_datahub.errors import SpecError
from airflow_datahub.spec import loads
from airflow_datahub.state.store import RejectRow, Store


class Lab:
    """Runs pages into one table."""

    def __init__(self, dsn: str, store: Store):
        self.dsn, self.store, self.runs = dsn, store, 0

    def run(self, pages: list[list[str]], load: dict[str, Any], operators: Sequence[Any] = ()) -> None:
        config = {"connection": "warehouse", "table": "events", **load}
        steps = [
            {"key": "extract", "type": "extract", "adapter": "tests.engine.odd:Pages", "config": {"pages": pages}},
            {"key": "tidy", "type": "transform", "operators": list(operators)},
            {"key": "load", "type": "load", "adapter": "postgres", "config": config},
        ]
        spec = {"version": 1, "steps": steps}
        self.runs += 1
        run = Run(pipeline="pages", run_id=f"run-{self.runs}", connections=self.connection)
        run_pipeline(loads(json.dumps(spec), "pages.yaml"), run, self.store)

    def connection(self, connection_id: str) -> Connection:
        return from_environment(connection_id, {"AIRFLOW_CONN_WAREHOUSE": self.dsn})

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn, autocommit=True) as session:
            cursor = session.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def rejects(self) -> list[RejectRow]:
        return self.store.rejects()[::-1]


@pytest.fixture
def lab(database: str, tmp_path: Path) -> Iterator[Lab]:
    with Store.open(lambda name: from_environment(name, {}), tmp_path) as store:
        yield Lab(database, store)


def test_a_reject_is_the_record_that_was_refused_though_the_sink_now_takes_more_undecoded(lab: Lab) -> None:
    """The first batch is decoded in full, so 1e999 is refused; with the table there its field stays undecoded."""
    page = [
        '{"id": 1, "p": {"x": 1e999}}', '{"id": 2, "p": {}}', '{"id": 3, "p": {}}',
        '{"id": 4, "p": {"x": "\\u0000"}}', '{"id": 5, "p": {}}',
    ]  # fmt: skip
    lab.run([page], {"key": ["id"]})
    assert lab.sql("select id from events order by id") == [(2,), (3,), (5,)]
    unreadable, refused = lab.rejects()
    assert (unreadable.position, unreadable.record) == (0, page[0])
    assert (refused.position, refused.record) == (3, {"id": 4, "p": {"x": "\0"}})


def test_errors_that_a_record_came_with_stay_beside_those_of_ours(lab: Lab) -> None:
    operators = ({"parse_date": {"field": "day", "on_error": "flag"}},)
    page = ['{"id": 1, "day": "never", "_errors": [{"theirs": 1}]}']
    lab.sql("create table events (id int primary key, day text, _errors jsonb)")
    lab.run([page], {"key": ["id"]}, operators)
    theirs, ours = lab.sql("select _errors from events")[0][0]
    assert (theirs, ours["operator"]) == ({"theirs": 1}, "parse_date")


@pytest.mark.parametrize(
    "operators",
    [
        [{"rename": {"from": "c", "to": "a.b"}}],
        [
            {"rename": {"fields": {"c": "a", "gone": "b"}, "required": True, "on_error": "flag"}},
            {"to_number": {"field": "c"}},
        ],
        [{"rename": {"fields": {"d": "a", "d.e": "c"}}}, {"to_number": {"field": "c"}}],
        [{"rename": {"fields": {"c": "d", "d": "d.d"}}}],
    ],
    ids=[
        "moved into another field",
        "kept its name, as its operator failed",
        "moved twice",
        "moved into what was moved",
    ],
)
def test_operators_do_the_same_whatever_the_sink_takes_undecoded(operators: list[Any]) -> None:
    steps = [
        {"key": "extract", "type": "extract", "adapter": "inline", "config": {"rows": []}},
        {"key": "tidy", "type": "transform", "operators": operators},
        {"key": "load", "type": "load", "adapter": "stdout", "config": {}},
    ]
    pipeline, run = loads(json.dumps({"version": 1, "steps": steps}), "pages.yaml"), Run(pipeline="pages", run_id="r")
    batch = Batch([Raw(b'{"c": "12", "d": {"e": "3"}}')])
    opaque = compiled(pipeline, run, {}, lambda: any_field).apply(batch)
    plain = compiled(pipeline, run, {}, lambda: nothing_opaque).apply(batch)
    assert list(map(decoded, opaque.records)) == plain.records
    assert opaque.rejects == plain.rejects


def any_field(name: str) -> bool:
    return True


PATHS = st.sampled_from(["a", "b", "c", "a.a", "a.b", "a.c", "b.a", "a.b.c", "a.b.0"])
LEAVES = st.sampled_from([None, 1, 2, "1", "x", "2024-01-15", "\n"])
INNER = LEAVES | st.lists(LEAVES, max_size=2) | st.dictionaries(st.sampled_from("abc"), LEAVES)
VALUES = INNER | st.dictionaries(st.sampled_from("abc"), INNER, min_size=1)
PAGES = st.lists(
    st.lists(st.dictionaries(st.sampled_from("abcd"), VALUES, min_size=2), min_size=1, max_size=3),
    min_size=1,
    max_size=3,
)
ON_ERROR = st.sampled_from(["reject", "flag", "drop"])
OPERATORS = st.one_of(
    st.tuples(st.just("rename"), st.fixed_dictionaries({"from": PATHS, "to": PATHS, "required": st.booleans()})),
    st.tuples(st.just("rename"), st.fixed_dictionaries({"fields": st.dictionaries(PATHS, PATHS, min_size=2)})),
    st.tuples(st.sampled_from(["default", "set"]), st.fixed_dictionaries({"field": PATHS, "value": LEAVES})),
    st.tuples(st.just("remove"), st.fixed_dictionaries({"field": PATHS, "required": st.booleans()})),
    st.tuples(st.sampled_from(["omit", "pick"]), st.fixed_dictionaries({"fields": st.lists(PATHS, min_size=1)})),
    st.tuples(st.sampled_from(["to_number", "parse_date"]), st.fixed_dictionaries({"field": PATHS, "to": PATHS})),
    st.tuples(
        st.just("filter"), st.fixed_dictionaries({"keep": st.fixed_dictionaries({"field": PATHS, "ne": LEAVES})})
    ),
)


@settings(max_examples=300)
@given(PAGES, st.lists(st.tuples(OPERATORS, ON_ERROR), min_size=1, max_size=3), st.sets(st.sampled_from("abcd")))
def test_any_operators_do_the_same_whatever_the_sink_takes_undecoded(
    pages: list[list[dict[str, Any]]], operators: list[tuple[tuple[str, dict[str, Any]], str]], takes: set[str]
) -> None:
    steps = [
        {"key": "extract", "type": "extract", "adapter": "inline", "config": {"rows": []}},
        {"key": "tidy", "type": "transform", "operators": [{n: {**c, "on_error": e}} for (n, c), e in operators]},
        {"key": "load", "type": "load", "adapter": "stdout", "config": {}},
    ]
    try:
        pipeline = loads(json.dumps({"version": 1, "steps": steps}), "pages.yaml")
    except SpecError:
        assume(False)
    run = Run(pipeline="pages", run_id="r")
    asked = takes.__contains__
    opaque, plain = compiled(pipeline, run, {}, lambda: asked), compiled(pipeline, run, {}, lambda: nothing_opaque)
    for page in pages * 2:  # the second time through structs that know every form
        batch = Batch([Raw(json.dumps(record).encode()) for record in page])
        some, full = opaque.apply(batch), plain.apply(batch)
        assert list(map(decoded, some.records)) == full.records
        assert some.rejects == full.rejects
        assert all(decoded(value) == value for each in some.records for n, value in each.items() if n not in takes)
