from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_datahub.contract import Unreadable
from airflow_datahub.engine.projection import Projection
from airflow_datahub.errors import ConfigurationError
from airflow_datahub.http.client import Answer
from airflow_datahub.http.page import Page, PageReader
from airflow_datahub.http.retrying import TryAgain
from airflow_datahub.http.structure import Structure


def answer(body: bytes | str, content_type: str = "application/json") -> Answer:
    content = bytearray(body.encode() if isinstance(body, str) else body)
    return Answer(200, {"content-type": content_type}, content, "GET /events", str)


def decoded(origins: Sequence[Any]) -> list[Any]:
    return Projection().records(origins)


def read(body: bytes | str, records: str = "data", *values: str) -> Page:
    return PageReader(records, values).read(answer(body))


@pytest.mark.parametrize(
    ("body", "records"),
    [
        ('[{"id": 1}, 2]', ""),
        ('{"data": [{"id": 1}, 2]}', "data"),
        ('{"a": {"b.c": {"data": [{"id": 1}, 2]}}}', r"a.b\.c.data"),
        ('[{"rows": []}, {"rows": [{"id": 1}, 2]}]', "1.rows"),
        ('\ufeff {"x": "]}\\"", "data" : [ {"id": 1} , 2 ] }\n', "data"),
        ('{"schön \\"q": [{"id": 1}, 2]}', 'schön "q'),
    ],
)
def test_records_are_found(body: str, records: str) -> None:
    page = read(body, records)
    assert decoded(page.origins) == [{"id": 1}, 2]
    assert [json.loads(bytes(origin)) for origin in page.origins] == [{"id": 1}, 2]


def test_values_beside_the_records() -> None:
    body = '{"data": [], "meta": {"next": 12345678901234567890123, "more": true}}'
    assert read(body, "data", "meta.next", "meta.more", "meta.none", "none.none").values == [
        12345678901234567890123,
        True,
        None,
        None,
    ]
    assert read('{"data": [], "meta": null}', "data", "meta.next").values == [None]
    assert read('{"data": [{"id": 7}]}', "data", "data.0.id").values == [7]


def test_an_empty_list_may_be_null() -> None:
    assert read('{"data": null}').origins == []
    assert read('{"data": []}').origins == []


def test_no_digit_is_lost() -> None:
    text = '{"a": 12345678901234567890123456789, "b": 0.1, "c": -0.0, "d": 1e3}'
    (record,) = decoded(read(f'{{"data": [{text}]}}').origins)
    assert record == {"a": 12345678901234567890123456789, "b": 0.1, "c": 0.0, "d": 1000.0}


BAD = {
    b'{"v": NaN}': "not readable",
    b'{"v": -Infinity}': "not readable",
    b'{"v": "\xff"}': "not readable",
    b'{"v": "\\ud800"}': "surrogate",
    b'{"v": 1' + b"0" * 5000 + b"}": "out of range",
    b'{"v": 1e999}': "out of range",
    b'{"v": "a\x00b"}': "not readable",
    b'{"v": tru}': "not readable",
    b'{"v" 1}': "not readable",
    b"[" * 3000 + b"]" * 3000: "deeper than 64 levels",
}


@pytest.mark.parametrize("bad", BAD)
def test_one_bad_record_costs_no_other(bad: bytes) -> None:
    rows = [b'{"id": %d, "s": "}]\\"{["}' % number for number in range(20)]
    rows[7] = bad
    page = read(b'{"data": [' + b",\n ".join(rows) + b'], "next": "c"}', "data", "next")
    records = decoded(page.origins)
    assert page.values == ["c"]
    assert [index for index, record in enumerate(records) if isinstance(record, Unreadable)] == [7]
    assert [r["id"] for r in records if isinstance(r, dict)] == [n for n in range(20) if n != 7]
    unreadable: Any = records[7]
    assert BAD[bad] in unreadable.reason
    assert unreadable.payload == bad.decode(errors="backslashreplace")


@pytest.mark.parametrize("end", [1, 8, 9, 10, 12, 20, 23, 31])
def test_a_page_cut_short_is_asked_for_again(end: int) -> None:
    with pytest.raises(TryAgain, match="ends in the middle"):
        read('{"data": [{"id": 1}, {"id": "]}"}]}'[:end])


@pytest.mark.parametrize("body", ["", "  ", '{"data": []} x', '{"data": []}{"data": []}', '{"data": [], "next": tru}'])
def test_a_broken_page_is_asked_for_again(body: str) -> None:
    with pytest.raises(TryAgain):
        read(body, "data", "next")


@pytest.mark.parametrize(
    ("body", "records", "says"),
    [
        ('{"items": [], "n": 1}', "data", "'data' is not in the answer; the top has the keys 'items', 'n'"),
        ('{"a": {"items": []}}', "a.data", "'a' has the keys 'items'"),
        ('{"a": 1}', "a.data", "'a' holds a single value"),
        ("{}", "data", "no keys"),
        ('{"data": {"x": 1}}', "data", "'data' in the answer is an object with the keys 'x', not a list"),
        ('{"data": "x"}', "data", "'data' in the answer is a single value, not a list"),
        ('{"data": [], "n": 1}', "", "the answer is an object with the keys 'data', 'n', not a list"),
        ("<!DOCTYPE html><p>Sign in", "data", "answered HTML, not JSON (status 200, content type 'text/html')"),
        ("<?xml version='1.0'?><a/>", "data", "answered XML"),
        ("OK", "data", "neither a JSON object nor a list (status 200, content type 'text/html'): 'OK'"),
    ],
)
def test_what_is_wrong_is_said(body: str, records: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        PageReader(records).read(answer(body, "text/html" if body[0] in "<O" and "xml" not in body else "a/b"))
    assert says in str(caught.value)
    assert str(caught.value).startswith("GET /events: ")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=40, deadline=None)
@given(st.lists(JSON) | st.dictionaries(st.text(), JSON), st.booleans())
def test_the_scanner_finds_what_the_decoder_finds(value: Any, ascii_only: bool) -> None:
    body = bytearray(json.dumps(value, ensure_ascii=ascii_only).encode(errors="replace"))
    value = json.loads(body)
    structure = Structure(body)
    structure.prove_whole()
    given_members = value if isinstance(value, dict) else {str(i): v for i, v in enumerate(value)}
    assert {name: json.loads(structure.text(span)) for name, span in structure.members(0).items()} == given_members
