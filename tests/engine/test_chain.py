"""What becomes of a batch: policies, counting, and that a reject holds the record as it entered the step."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from airflow_datahub.contract import Batch, Run, Unreadable
from airflow_datahub.engine.chain import Flow, compiled
from airflow_datahub.errors import StopRun
from airflow_datahub.spec import loads
from airflow_datahub.state import Counters

SPEC = """version: 1
steps:
  - {{key: rows, type: extract, adapter: inline, config: {{rows: []}}}}
  - key: first
    type: transform
    {policy}
    operators: {operators}
  - {{key: second, type: transform, operators: [{{set: {{field: seen, value: true}}}}]}}
  - {{key: print, type: load, adapter: stdout, config: {{}}}}
"""


def applied(operators: str, records: list[Any], policy: str = "") -> Flow:
    pipeline = loads(SPEC.format(operators=operators, policy=policy), "chain.yaml")
    flow = compiled(pipeline, Run(pipeline="chain", run_id="r"), {}).apply(Batch(records))
    assert all(counts.balances() for counts in flow.counters.values()), flow.counters
    return flow


def test_records_go_through_and_the_source_keeps_its_own() -> None:
    records = [{"a": 1}, {"a": 2}]
    flow = applied("[{rename: {from: a, to: b}}, {filter: {drop: {field: b, eq: 2}}}]", records)
    assert flow.records == [{"b": 1, "seen": True}]
    assert flow.origins == [{"a": 1}]
    assert records == [{"a": 1}, {"a": 2}]
    assert flow.counters["first"].filtered == 1


@pytest.mark.parametrize("bad", [{"a": "x", "bug": 1}, {"a": "x"}])
def test_a_reject_holds_the_record_as_it_entered_the_step(bad: dict[str, Any]) -> None:
    operators = "[{set: {field: touched, value: 1}}, tests.engine.odd:Buggy: {}, {to_number: {field: a}}]"
    flow = applied(operators, [{"a": "1"}, dict(bad), {"a": "3"}])
    assert [record["a"] for record in flow.records] == [1, 3]
    (reject,) = flow.rejects
    assert (reject.position, reject.step, reject.record) == (1, "first", bad)
    assert reject.operator == ("tests.engine.odd:Buggy" if "bug" in bad else "to_number")
    assert reject.reason


def test_positions_and_origins_stay_with_a_record_that_fans_out() -> None:
    flow = applied("[tests.engine.odd:Twice: {}]", [{"a": 1}, {"a": 2}])
    assert [record.get("copy") for record in flow.records] == [None, True, None, True]
    assert list(flow.positions) == [0, 0, 1, 1]
    assert flow.origins == [{"a": 1}, {"a": 1}, {"a": 2}, {"a": 2}]
    assert flow.counters["first"].made == 2


def test_one_failing_part_takes_the_whole_record_out() -> None:
    flow = applied("[tests.engine.odd:Twice: {}, {to_number: {field: a}}]", [{"a": "x"}, {"a": "1"}])
    assert len(flow.records) == 2
    assert [reject.record for reject in flow.rejects] == [{"a": "x"}]


def test_the_parts_of_a_record_may_be_filtered() -> None:
    flow = applied("[tests.engine.odd:Twice: {}, {filter: {drop: {field: copy, exists: true}}}]", [{"a": 1}])
    assert flow.records == [{"a": 1, "seen": True}]
    assert (flow.counters["first"].made, flow.counters["first"].filtered) == (1, 1)


def test_drop() -> None:
    flow = applied("[{to_number: {field: a, on_error: drop}}]", [{"a": "x"}, {"a": "1"}])
    assert [record["a"] for record in flow.records] == [1]
    assert not flow.rejects


def test_flag_lets_the_record_go_on_as_it_was() -> None:
    flow = applied("[{to_number: {field: a}}]", [{"a": "x"}], policy="on_error: flag")
    (record,) = flow.records
    assert record["a"] == "x"
    (error,) = record["_errors"]
    assert (error["step"], error["operator"], error["field"]) == ("first", "to_number", "a")


def test_stop_names_what_is_wrong() -> None:
    with pytest.raises(StopRun, match=r"to_number.*'a'"):
        applied("[{to_number: {field: a}}]", [{"a": "x"}], policy="on_error: stop")


def test_an_operator_decides_before_its_step() -> None:
    assert applied("[{to_number: {field: a, on_error: drop}}]", [{"a": "x"}], policy="on_error: stop").records == []


def test_a_disabled_step_passes_records_on_untouched() -> None:
    flow = applied("[{remove: {field: a}}]", [{"a": 1}], policy="enabled: false")
    assert flow.records == [{"a": 1, "seen": True}]


def test_what_is_no_object_is_set_aside_by_the_source() -> None:
    flow = applied("[{set: {field: b, value: 1}}]", [1, {"a": 1}, Unreadable("broken", "{x"), [1]])
    assert [record["a"] for record in flow.records] == [1]
    assert [(r.position, r.step, r.record) for r in flow.rejects] == [
        (0, "rows", 1),
        (2, "rows", "{x"),
        (3, "rows", [1]),
    ]
    assert list(flow.positions) == [1]


WHAT = st.sampled_from(["", "", "", "stops", "fails", "filters", "ones", "twos", "nones"])
ODD = st.lists(st.fixed_dictionaries({"a": WHAT, "b": WHAT, "c": WHAT}), max_size=8)


@given(ODD, st.tuples(*[st.sampled_from(["reject", "drop", "flag"])] * 3), st.booleans())
def test_records_together_become_what_each_becomes_alone(
    records: list[dict[str, Any]], policies: tuple[str, ...], encoded: bool
) -> None:
    acts = [{"tests.engine.odd:Acts": {"field": n, "on_error": p}} for n, p in zip("abc", policies, strict=True)]
    pages = [Raw(json.dumps(record).encode()) for record in records] if encoded else records
    together = applied(json.dumps(acts), pages)
    alone = [applied(json.dumps(acts), [record]) for record in pages]
    assert together.records == [record for flow in alone for record in flow.records]
    assert list(together.positions) == [index for index, flow in enumerate(alone) for _ in flow.records]
    assert list(together.origins) == [pages[index] for index in together.positions]
    assert together.rejects == [
        replace(reject, position=index) for index, flow in enumerate(alone) for reject in flow.rejects
    ]
    for key, counts in together.counters.items():
        summed = sum((replace(flow.counters[key], seconds=0) for flow in alone), Counters())
        assert replace(counts, seconds=0) == summed


@pytest.mark.parametrize("mixed", [[Unreadable("cut", "{"), {"a": 1}, 5], [Raw(b'{"a": 1}'), {"a": 1}, Raw(b"5")]])
def test_a_batch_may_hold_decoded_and_undecoded_records(mixed: list[Any]) -> None:
    flow = applied("[{rename: {from: a, to: b}}]", mixed)
    assert {repr(record) for record in flow.records} == {"{'b': 1, 'seen': True}"}
    assert len(flow.records) + len(flow.rejects) == 3


def test_a_record_is_never_taken_for_what_it_came_in() -> None:
    """It is decoded anew where it goes by itself; its origin may be something else."""
    pipeline = loads(
        SPEC.format(operators="[{to_number: {field: n}}, tests.engine.odd:Twice: {}]", policy=""), "x.yaml"
    )
    chain = compiled(pipeline, Run(pipeline="x", run_id="r"), {})
    flow = chain.apply(Batch([Raw(b'{"n": "1"}')], origins=[Raw(b'{"envelope": {"n": "1"}}')]))
    assert [record["n"] for record in flow.records] == [1, 1]
