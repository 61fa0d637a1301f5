"""rename, set, remove, pick, omit, default, filter."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from pydantic import ValidationError

from airflow_datahub.errors import RejectRecord
from airflow_datahub.paths import MISSING, getter
from tests.adapters.transforms.operators import PATHS, RECORDS, VALUES, apply, function, operator


@pytest.mark.parametrize(
    ("fields", "record", "expected"),
    [
        ({"from_": "a", "to": "b"}, {"a": 1, "b": 2}, {"b": 1}),
        ({"from_": "a", "to": "a"}, {"a": 1}, {"a": 1}),
        ({"from_": "a", "to": "b"}, {"a": None}, {"b": None}),
        ({"from_": "a", "to": "b"}, {"c": 1}, {"c": 1}),
        ({"from_": "a", "to": "a.b"}, {"a": 1}, {"a": {"b": 1}}),
        ({"from_": "a.b", "to": "a"}, {"a": {"b": 1, "c": 2}}, {"a": 1}),
        ({"from_": "a.b", "to": "c.d"}, {"a": {"b": [1]}}, {"a": {}, "c": {"d": [1]}}),
        ({"from_": r"a\.b", "to": "c"}, {"a.b": 1}, {"c": 1}),
        ({"fields": {"a": "b", "b": "a"}}, {"a": 1, "b": 2}, {"b": 1, "a": 2}),
        ({"fields": {"a": "x", "b": "y"}}, {"b": 2}, {"y": 2}),
    ],
)
def test_rename(fields: Any, record: Any, expected: Any) -> None:
    assert apply("rename", record, **fields) == expected


@pytest.mark.parametrize(
    "fields", [{"from_": "a", "to": "b"}, {"from_": "a.b", "to": "b"}, {"fields": {"c": "d", "a": "b"}}]
)
def test_rename_rejects_a_missing_field_when_required(fields: Any) -> None:
    with pytest.raises(RejectRecord, match="required") as caught:
        apply("rename", {"c": 1}, required=True, **fields)
    assert caught.value.field in ("a", "a.b")


@pytest.mark.parametrize(
    ("name", "fields", "words"),
    [
        ("rename", {"from_": "a"}, "`from` and `to`"),
        ("rename", {"from_": "a", "to": "b", "fields": {"c": "d"}}, "`from` and `to`"),
        ("rename", {}, "`from` and `to`"),
        ("rename", {"fields": {}}, "at least 1"),
        ("rename", {"fields": {"a": "x", "b": "x"}}, "one new name"),
        ("remove", {}, "one of them"),
        ("remove", {"field": "a", "fields": ["b"]}, "one of them"),
        ("pick", {"fields": []}, "at least 1"),
        ("omit", {"fields": ["a..b"]}, "not a path"),
        ("set", {"field": "a"}, "required"),
        ("set", {"field": "a", "value": float("inf")}, "inf"),
        ("set", {"field": "a", "value": {1: 2}}, "names are text"),
        ("default", {"field": "", "value": 1}, "at least 1"),
        ("filter", {}, "one of them"),
        ("filter", {"keep": "true", "drop": "true"}, "one of them"),
    ],
)
def test_a_wrong_form_is_refused(name: str, fields: Any, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        operator(name, **fields)


@given(RECORDS, PATHS, PATHS)
def test_a_renamed_value_is_at_its_new_place(record: dict[str, Any], old: str, new: str) -> None:
    value = getter(old)(record)
    try:
        renamed = apply("rename", record, from_=old, to=new)
    except RejectRecord:
        return
    if value is MISSING:
        assert renamed == record
    else:
        assert getter(new)(renamed) == value


@given(RECORDS, PATHS, VALUES)
def test_a_set_value_is_there_and_shared_with_no_other_record(record: dict[str, Any], path: str, value: Any) -> None:
    assign = function("set", field=path, value=value)
    try:
        first, second = (getter(path)(cast("Any", assign(dict(record)))) for _ in range(2))
    except RejectRecord:
        return
    assert first == second == value
    assert not isinstance(first, dict | list) or first is not second


@given(RECORDS, PATHS, VALUES)
def test_a_default_fills_nothing_and_null_only(record: dict[str, Any], path: str, value: Any) -> None:
    before = getter(path)(record)
    try:
        filled = apply("default", record, field=path, value=value)
    except RejectRecord:
        assert before is MISSING
        return
    assert getter(path)(filled) == (value if before is MISSING or before is None else before)


def test_a_default_container_is_copied() -> None:
    fill = function("default", field="a", value=[1])
    cast("Any", fill({}))["a"].append(2)
    assert fill({}) == {"a": [1]}


@given(RECORDS, PATHS)
def test_removed_is_gone_and_omit_does_the_same(record: dict[str, Any], path: str) -> None:
    removed = apply("remove", record, field=path)
    assert removed == apply("remove", record, fields=[path]) == apply("omit", record, fields=[path])
    if getter(path)(record) is MISSING:
        assert removed == record
    elif not path.endswith("0"):
        assert getter(path)(removed) is MISSING


def test_remove_rejects_a_missing_field_when_required() -> None:
    with pytest.raises(RejectRecord, match=r"a\.b: required"):
        apply("remove", {"a": {}}, fields=["a.b"], required=True)


@given(RECORDS, PATHS, PATHS)
def test_picked_is_all_that_is_left(record: dict[str, Any], one: str, other: str) -> None:
    try:
        picked = apply("pick", record, fields=[one, other])
    except RejectRecord as rejected:
        assert "list" in rejected.reason  # noqa: PT017
        return
    assert picked.keys() <= {one.partition(".")[0], other.partition(".")[0]}
    for path in (one, other):
        assert getter(path)(picked) == getter(path)(record)


def test_pick_keeps_the_order_of_its_fields_and_may_require_them() -> None:
    assert list(apply("pick", {"a": 1, "b": 2, "c": None}, fields=["c", "a"])) == ["c", "a"]
    with pytest.raises(RejectRecord, match="x: required"):
        apply("pick", {"a": 1}, fields=["a", "x"], required=True)


def test_filter_keeps_or_drops() -> None:
    for record in ({"n": 1}, {"n": 5}):
        kept = apply("filter", record, keep={"field": "n", "gt": 3})
        assert (kept == record) is (record["n"] == 5)
        assert (apply("filter", record, drop="record.n > 3") is None) is (record["n"] == 5)


def test_filter_rejects_what_it_cannot_judge() -> None:
    with pytest.raises(RejectRecord, match="n: gt"):
        apply("filter", {"n": "many"}, keep={"field": "n", "gt": 3})
