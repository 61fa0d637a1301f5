"""Marks of every form that a field may have."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from airflow_datahub.contract import Silence
from airflow_datahub.http.mark import KEYS, Mark, Tracker

MARK = {"field": "at", "param": "since"}


@pytest.mark.parametrize(
    ("values", "lag", "since"),
    [
        (["2024-01-15T10:00:00Z", "2024-01-15T11:00:00+02:00"], "0s", "2024-01-15T10:00:00Z"),
        (["2024-01-15T10:00:00Z", "2024-01-15T13:00:00+02:00"], "1h", "2024-01-15T12:00:00+02:00"),
        (["2024-01-15T10:00:00.5Z"], "5m", "2024-01-15T09:55:00.500000Z"),
        (["2024-01-15 10:00:00"], "1d", "2024-01-14 10:00:00"),
        (["2024-01-15"], "1d", "2024-01-14"),
        ([1705312200, 1705312100.5], "5m", 1705311900),
        ([1705312200000], "5m", 1705311900000),
        ([1705312200000000], "1s", 1705312199000000),
        (["1705312200", "999"], "1s", "1705312199"),
        ([7, 12, 9], "0s", 12),
        (["a9", "b1", "a"], "0s", "b1"),
        (["nonsense", "2024-01-15T10:00:00Z", None, True, [], {}, "zzz"], "0s", "2024-01-15T10:00:00Z"),
        (["0001-01-01T00:00:00Z"], "1d", "0001-01-01T00:00:00Z"),
        (["b1"], "1h", None),
        ([None, True, "", [1]], "0s", None),
    ],
)
def test_marks_of_every_form(values: list[Any], lag: str, since: Any) -> None:
    tracker = Tracker(Mark.model_validate({**MARK, "lag": lag}), None, Silence())
    tracker.look([msgspec.Raw(json.dumps({"at": value}).encode()) for value in values])
    assert tracker.since() == since


def test_a_mark_may_lie_deep_and_what_cannot_be_read_moves_nothing() -> None:
    quoted = b'{"a\\"b": 5}'
    for path, record in (
        ("a.b", b'{"a": {"b": 5}}'),
        ("a.0.b", b'{"a": [{"b": 5}]}'),
        ('a"b', quoted),
        ("7", b'{"7": 5}'),
    ):
        tracker = Tracker(Mark(field=path, param="since"), None, Silence())
        bad = [b"7", b"[]", b'{"a": 1}', b'{"a": NaN}', b'{"a": {"b": "\xff"}}', b'{"a": null}', b"{}"]
        tracker.look([msgspec.Raw(each) for each in [*bad, record]])
        assert tracker.since() == 5


def test_only_so_many_of_one_time_are_remembered() -> None:
    tracker = Tracker(Mark.model_validate(MARK), None, Silence())
    for start in range(0, 3 * KEYS, 700):
        tracker.look([msgspec.Raw(b'{"at": 1, "id": %d}' % number) for number in range(start, start + 700)])
    kept = tracker.kept()
    assert kept is not None
    assert len(kept["keys"]) == KEYS
