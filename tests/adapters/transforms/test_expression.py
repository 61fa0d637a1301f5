"""expression: what CEL gives goes into the record, as JSON."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from pydantic import ValidationError

from airflow_datahub.errors import RejectRecord
from tests.adapters.transforms.operators import RECORDS, apply, operator


def given_by(text: str, record: dict[str, Any] | None = None) -> Any:
    return apply("expression", record or {}, field="x", value=text)["x"]


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("record.a * 2 + params.rate", 8),
        ("record.s + '-' + params.name", "s-x"),
        ("now", "2024-01-15T09:50:00Z"),
        ("now - duration('500ms')", "2024-01-15T09:49:59.500Z"),
        ("[now, null]", ["2024-01-15T09:50:00Z", None]),
        ("{'a': [1, 1.5, true]}", {"a": [1, 1.5, True]}),
        ("has(record.gone) ? 1 : 2", 2),
        ("record.l.map(x, x * 2)", [2, 4]),
        ("record", {"a": 3, "l": [1, 2], "s": "s"}),
    ],
)
def test_it_gives(text: str, result: Any) -> None:
    assert repr(given_by(text, {"a": 3, "s": "s", "l": [1, 2]})) == repr(result)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 / 0", "division by zero"),
        ("record.gone", "no field 'gone'"),
        ("record.a + 1", "x: "),
        ("b'abc'", "bytes"),
        ("duration('1h')", "timedelta"),
        ("1.0 / 0.0", "inf"),
        ("0.0 / 0.0", "nan"),
        ("{1: 2}", "names are text"),
        ("9223372036854775807 + 1", "overflow"),
    ],
)
def test_what_it_cannot_work_out_rejects(text: str, words: str) -> None:
    with pytest.raises(RejectRecord, match=words) as caught:
        given_by(text, {"a": "text"})
    assert caught.value.field == "x"


@settings(max_examples=50)
@given(RECORDS)
def test_a_record_goes_through_unchanged(record: dict[str, Any]) -> None:
    try:
        result = apply("expression", record, field="copy.of", value="record")
    except RejectRecord as rejected:
        assert "64 bits" in rejected.reason  # noqa: PT017
    else:
        assert result == {**record, "copy": {"of": record}}


def test_the_same_record_gives_the_same_object_every_time() -> None:
    names = dict.fromkeys("hgfedcba", 1)
    assert {tuple(given_by("{'x': record}", names)["x"]) for _ in range(20)} == {tuple("abcdefgh")}


def test_a_wrong_text_is_refused() -> None:
    for text in ("record.", "env", "record.l.map(x, x.map(y, y))"):
        with pytest.raises(ValidationError):
            operator("expression", field="x", value=text)
