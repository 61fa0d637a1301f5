"""Dotted paths: reading, writing, removing, and never touching what is nested."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from airflow_datahub.errors import RejectRecord
from airflow_datahub.paths import MISSING, FieldPath, converter, deleter, getter, parse, setter

NAMES = st.text(alphabet="ab01.\\", min_size=1, max_size=4)
VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=10,
)
RECORDS = st.dictionaries(NAMES, VALUES, max_size=4)
PATHS = st.lists(NAMES, min_size=1, max_size=4)


def written(names: list[str]) -> str:
    return ".".join(name.replace("\\", "\\\\").replace(".", "\\.") for name in names)


def test_a_path_reaches_fields_and_elements() -> None:
    record = {"a": {"b": [{"c": 1}]}, "x.y": 2, "back\\slash": 3, "n": {"0": 4}, "null": None}
    assert getter("a.b.0.c")(record) == 1
    assert getter(r"x\.y")(record) == 2
    assert getter(r"back\\slash")(record) == 3
    assert getter("n.0")(record) == 4
    assert getter("null")(record) is None
    assert getter("")(record) is record


@pytest.mark.parametrize(
    "path", ["x", "a.x", "a.b.1", "a.b.-1", "a.b.c", "a.b.0.c.d", "a.b.²", "a.b.99999999999999999999"]
)
def test_nothing_is_missing_and_not_null(path: str) -> None:
    assert getter(path)({"a": {"b": [{"c": 1}]}}) is MISSING


@pytest.mark.parametrize("path", [".", "a.", ".a", "a..b", "a\\", "a\\b"])
def test_a_path_that_cannot_be_read_is_refused(path: str) -> None:
    class Model(BaseModel):
        field: FieldPath

    with pytest.raises(ValueError, match="is not a path"):
        parse(path)
    with pytest.raises(ValidationError, match="is not a path"):
        Model(field=path)
    with pytest.raises(ValidationError):
        Model(field="")


@given(PATHS)
def test_every_name_can_be_written(names: list[str]) -> None:
    assert parse(written(names)) == tuple(names)


@given(RECORDS, PATHS, VALUES)
def test_what_was_set_is_read_and_nothing_nested_changed(record: dict[str, Any], names: list[str], value: Any) -> None:
    path, before = written(names), deepcopy(record)
    copy = dict(record)
    try:
        setter(path)(copy, value)
    except RejectRecord as rejected:
        assert rejected.field == path  # noqa: PT017
    else:
        assert getter(path)(copy) == value
    assert record == before


@given(RECORDS, PATHS)
def test_what_was_deleted_is_gone_and_nothing_nested_changed(record: dict[str, Any], names: list[str]) -> None:
    path, before = written(names), deepcopy(record)
    copy = dict(record)
    there = getter(path)(copy) is not MISSING
    deleter(path)(copy)
    assert record == before
    assert (copy != before) is there


def test_objects_on_the_way_are_made_and_lists_grow_by_one() -> None:
    record: dict[str, Any] = {"n": None, "l": [1]}
    setter("a.b")(record, 1)
    setter("n.b")(record, 2)
    setter("l.1")(record, 3)
    setter("l.0")(record, 0)
    assert record == {"n": {"b": 2}, "l": [0, 3], "a": {"b": 1}}


@pytest.mark.parametrize(
    ("path", "reason"), [("t.x", "a str on the way"), ("l.2", "has 1 elements"), ("l.x", "no 'x'")]
)
def test_a_barred_way_rejects(path: str, reason: str) -> None:
    with pytest.raises(RejectRecord, match=reason):
        setter(path)({"t": "text", "l": [1]}, 1)


def test_the_record_itself_is_neither_set_nor_removed() -> None:
    with pytest.raises(ValueError, match="name a field"):
        setter("")
    with pytest.raises(ValueError, match="name a field"):
        deleter("")


@pytest.mark.parametrize("field", ["a", "o.a"])
def test_a_converter_leaves_alone_what_is_missing_unless_required(field: str) -> None:
    for empty in ({}, {"a": None, "o": {"a": None}}):
        assert converter(field, None, int, False)(dict(empty)) == empty
        with pytest.raises(RejectRecord, match="required"):
            converter(field, None, int, True)(dict(empty))
    assert getter("x.y")(converter(field, "x.y", int, True)({"a": "1", "o": {"a": "1"}})) == 1
