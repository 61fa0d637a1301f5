"""Depth and wholeness of JSON, told without a decoder."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_datahub.contract import Unreadable
from airflow_datahub.errors import ConfigurationError
from airflow_datahub.http.client import Answer
from airflow_datahub.http.limits import Limits
from airflow_datahub.http.page import Page, PageReader
from airflow_datahub.http.retrying import TryAgain
from airflow_datahub.http.structure import Structure as Scanner
from airflow_datahub.http.structure import too_deep


def read(body: bytes, records: str = "data", *values: str) -> Page:
    return PageReader(records, values).read(Answer(200, {}, bytearray(body), "GET /events", str))


def nested(levels: int) -> bytes:
    return b"[" * levels + b"1" + b"]" * levels


def depth(value: Any) -> int:
    if isinstance(value, dict | list):
        return 1 + max(map(depth, value.values() if isinstance(value, dict) else value), default=0)
    return 0


HARD = st.sampled_from(['"', "\\", '\\"', "[", "]", "{", "}", "[[[", '"]', '\\\\"', "{}", ""])
JSON = st.recursive(
    st.none() | st.integers() | st.lists(HARD, max_size=6).map("".join),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.lists(HARD).map("".join), inner, max_size=3),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(JSON, st.sampled_from([None, 2]))
def test_the_depth_is_exact_whatever_the_strings_hold(value: Any, indent: int | None) -> None:
    text = json.dumps(value, indent=indent).encode()
    assert not too_deep(text, depth(value))
    assert depth(value) == 0 or too_deep(text, depth(value) - 1)


@pytest.mark.parametrize("levels", [Limits().depth, Limits().depth + 1, 900, 100_000])
def test_a_deep_record_costs_itself_alone(levels: int) -> None:
    deep = b'{"id": 2, "v": ' + nested(levels - 1) + b"}"
    page = read(b'{"data": [{"id": 1}, ' + deep + b', {"id": 3}], "next": "c"}', "data", "next")
    assert [bytes(page.origins[0]), bytes(page.origins[2])] == [b'{"id": 1}', b'{"id": 3}']  # type: ignore[arg-type]
    assert page.values == ["c"]
    if levels > Limits().depth:
        assert page.origins[1] == Unreadable("nested deeper than 64 levels", deep.decode())
    else:
        assert bytes(page.origins[1]) == deep  # type: ignore[arg-type]


def test_a_huge_record_costs_itself_alone() -> None:
    huge = b'{"id": 2, "v": "' + b"x" * Limits().record + b'"}'
    page = read(b'{"data": [{"id": 1}, ' + huge + b', {"id": 3}]}')
    assert bytes(page.origins[2]) == b'{"id": 3}'  # type: ignore[arg-type]
    assert isinstance(page.origins[1], Unreadable)
    assert page.origins[1].reason == "larger than 10 MiB"


DEEP = {
    "a list": nested(100_000),
    "never closed": b"[" * 100_000,
    "in place of a value": b'{"data": [], "next": ' + nested(100_000) + b"}",
    "in place of a key": b'{"data": [], ' + nested(100_000) + b": 1}",
    "objects": b'{"data":' * 100_000 + b"1" + b"}" * 100_000,
    "beside a broken escape": b'{"data": [{"a": \\" x " ' + nested(100_000) + b' "}]}',
}


@pytest.mark.parametrize("body", DEEP.values(), ids=DEEP)
def test_100_000_levels_are_refused_at_once(body: bytes) -> None:
    started = time.monotonic()
    with pytest.raises((TryAgain, ConfigurationError)):
        read(body, "data", "next")
    assert time.monotonic() - started < 10


def test_100_000_levels_take_no_memory_to_speak_of() -> None:
    code = (
        "import resource\n"
        "from tests.http.test_structure import DEEP, read\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for body in DEEP.values():\n"
        "    try: read(body, 'data', 'next')\n"
        "    except Exception: pass\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 50_000  # KiB
    assert resource


def test_deep_junk_beside_the_records_costs_nothing() -> None:
    page = read(b'{"debug": ' + nested(100_000) + b', "data": [{"id": 1}], "next": 7}', "data", "next")
    assert [bytes(each) for each in page.origins] == [b'{"id": 1}']  # type: ignore[arg-type]
    assert page.values == [7]


WHOLE = '{"data": [{"id": 1, "s": "a]}\\"é"}, {"id": [2, {"x": null}]}], "more": true, "next": "c2"}'.encode()


@pytest.mark.parametrize("end", range(len(WHOLE)))
def test_a_page_that_is_cut_anywhere_is_no_page(end: int) -> None:
    with pytest.raises(TryAgain):
        read(WHOLE[:end], "data", "next", "more")


@pytest.mark.parametrize("position", range(len(WHOLE)))
def test_a_page_that_lacks_a_byte_is_no_other_page(position: int) -> None:
    """It is refused, or only its own records or values differ: never one more or one less. Without the comma between
    them two records are one that nobody can read."""
    body = WHOLE[:position] + WHOLE[position + 1 :]
    try:
        page = read(body, "data")
    except (TryAgain, ConfigurationError):
        return
    assert len(page.origins) == (1 if position == WHOLE.index(b", {") else 2)


def test_the_scanner_takes_linear_time() -> None:
    def seconds(count: int) -> float:
        body = bytearray(b'{"data": [' + b",".join([b'{"a": [[], {"b": "[\\""}]}'] * count) + b"]}")
        started = time.process_time()
        structure = Scanner(body)
        structure.prove_whole()
        structure.members(structure.members(0)["data"][0] + 1)
        return time.process_time() - started

    assert seconds(40_000) < 40 * max(seconds(4_000), 0.01)
