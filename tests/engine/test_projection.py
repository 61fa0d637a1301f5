from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_datahub.contract import Unreadable
from airflow_datahub.engine.projection import Projection, decoded


def encoded(*records: Any) -> list[msgspec.Raw]:
    return [msgspec.Raw(r if isinstance(r, bytes) else json.dumps(r).encode()) for r in records]


def opaque(*names: str) -> Projection:
    takes = names.__contains__
    return Projection(lambda: takes)


def test_what_nobody_looks_into_stays_as_it_came() -> None:
    projection = opaque("payload")
    for _ in range(2):  # the second page goes through the struct
        first, second = projection.records(
            encoded(b'{"id": 1, "payload": { "a" : 1.50 }}', b'{"id": 2, "payload": null}')
        )
        assert (first["id"], bytes(first["payload"])) == (1, b'{ "a" : 1.50 }')
        assert bytes(second["payload"]) == b"null"
    assert decoded(first) == {"id": 1, "payload": {"a": 1.5}}


def test_fields_that_come_and_go_are_neither_lost_nor_made_up() -> None:
    projection = opaque("p")
    pages: list[list[dict[str, Any]]] = [
        [{"id": 1, "p": []}, {"id": 2}],
        [{"id": 3, "p": {}}, {"p": 4}, {"id": 5, "new": None}],
        [{"id": 6, "new": 1, "class": 2, "_private": 3, "a b": 4}, {}],
    ]
    for page in pages * 2:
        assert list(map(decoded, projection.records(encoded(*page)))) == page


def test_one_that_cannot_be_read_costs_no_other() -> None:
    projection = opaque("p")
    page = encoded({"id": 1, "p": 1}, b'{"id": 1e999, "p": 2}', {"id": 3, "p": 3}, 5, b'{"id": "\\ud800"}')
    for _ in range(2):
        first, bad, third, number, surrogate = projection.records(page)
        assert (first["id"], third["id"], number) == (1, 3, 5)
        assert isinstance(bad, Unreadable)
        assert isinstance(surrogate, Unreadable)
        assert "surrogate" in surrogate.reason
        assert bad.payload == '{"id": 1e999, "p": 2}'


def test_what_the_sink_tells_may_change() -> None:
    takes: list[Any] = [lambda name: False]
    projection = Projection(lambda: takes[0])
    for _ in range(2):
        assert projection.records(encoded({"p": [1]})) == [{"p": [1]}]
    takes[0] = lambda name: name == "p"
    for _ in range(2):
        assert isinstance(projection.records(encoded({"p": [1]}))[0]["p"], msgspec.Raw)


keys = st.sampled_from(["id", "p", "q", "a b", "class", "_x", "ü"])
values = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=2))
records = st.dictionaries(keys, values, max_size=5)


@given(st.lists(st.lists(records, max_size=4), max_size=4))
def test_projected_and_then_decoded_is_what_it_was(pages: list[list[dict[str, Any]]]) -> None:
    projection = opaque("p", "a b")
    for page in pages:
        assert list(map(decoded, projection.records(encoded(*page)))) == page


def untouched(names: tuple[str, ...]) -> tuple[str, ...] | None:
    """Behind a step that reads p.a."""
    return None if names in (("p",), ("p", "a")) else names


def test_of_an_object_that_is_looked_into_only_what_is_looked_at_is_decoded() -> None:
    takes = "p".__eq__
    projection = Projection(lambda: takes, untouched)
    page = encoded(
        b'{"id": 1, "p": {"a": [1], "b": { "x" : 1.50 }, "c": "\\u00e9"}}', b'{"id": 2, "p": {"a": 2, "c": 1}}'
    )
    for _ in range(3):
        first, second = projection.records(page)
        assert (first["id"], first["p"]["a"], second["p"]["a"]) == (1, [1], 2)
        assert (bytes(first["p"]["b"]), bytes(first["p"]["c"])) == (b'{ "x" : 1.50 }', b'"\\u00e9"')
        assert second["p"].keys() == {"a", "c"}
        assert decoded(first) == {"id": 1, "p": {"a": [1], "b": {"x": 1.5}, "c": "é"}}


@pytest.mark.parametrize("odd", [None, 3, "s", [{"a": 1}], {}, {"a": 1}, {"b": 1}, {"a": 1, "b": 2, "no name": 3}])
def test_a_field_may_hold_something_other_than_the_objects_before(odd: Any) -> None:
    takes = "p".__eq__
    projection = Projection(lambda: takes, untouched)
    for _ in range(3):
        assert list(map(decoded, projection.records(encoded({"p": {"a": 1, "b": 2}}, {"p": odd}, {})))) == [
            {"p": {"a": 1, "b": 2}}, {"p": odd}, {},
        ]  # fmt: skip


def test_names_that_a_source_makes_up_inside_a_field_end_its_form_and_nothing_else() -> None:
    takes = "p".__eq__
    projection = Projection(lambda: takes, untouched)
    for start in range(0, 1_000, 100):
        page = [{"id": n, "p": {"a": n, f"k{n}": n}} for n in range(start, start + 100)]
        assert list(map(decoded, projection.records(encoded(*page)))) == page


def test_what_stays_undecoded_does_not_depend_on_the_records_before() -> None:
    takes = "p".__eq__
    digits = b'{"p": {"b": 12345678901234567890.1234567}}'
    for before in ({"p": {"b": 1}}, {"p": 5}, {"p": {"a": 1, "no name": 2}}):
        projection = Projection(lambda: takes, untouched)
        for _ in range(2):
            projection.records(encoded({"p": {"b": 1}}, before))
        (record,) = projection.records(encoded(digits))
        assert bytes(record["p"]["b"]) == b"12345678901234567890.1234567"


def test_a_name_that_no_struct_can_have_costs_its_own_record_alone() -> None:
    projection = opaque("big")
    for _ in range(2):
        page = projection.records(encoded(*[{"id": 1, "big": {}}] * 9, {"id": 2, "x-y": 3}))
    assert page[9] == {"id": 2, "x-y": 3}
    assert projection._fast is not None
    assert projection._fast(encoded({"id": 3, "big": 4}))[0]["id"] == 3


@given(st.lists(st.lists(records | st.fixed_dictionaries({"p": records}), max_size=4), max_size=4))
def test_projected_inside_a_field_and_then_decoded_is_what_it_was(pages: list[list[dict[str, Any]]]) -> None:
    takes = {"p", "a b"}.__contains__
    projection = Projection(lambda: takes, lambda names: None if names in (("p",), ("p", "id")) else names)
    for page in pages * 2:
        assert list(map(decoded, projection.records(encoded(*page)))) == page


@pytest.mark.parametrize("value", [b"\xff", b'"\xff"'])
def test_bytes_that_are_no_text_are_shown_as_far_as_they_can_be(value: bytes) -> None:
    assert decoded({"p": msgspec.Raw(value)})["p"] == value.decode(errors="backslashreplace")
