"""Params: JSON Schema with formats, checked when the spec is read and when a run begins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_datahub.errors import ConfigurationError
from airflow_datahub.spec import Pipeline, resolve_params
from airflow_datahub.spec.parameters import FORMATS, mistake_in

GOOD = {
    "date-time": ["2024-01-15T09:50:00Z", "2024-01-15T09:50:00.123+01:00", "2024-01-15t09:50z"],
    "date": ["2024-02-29"],
    "time": ["09:50", "09:50:01", "09:50:01Z"],
    "duration": ["P1D", "PT5M", "P1Y2M3DT4H5M6S", "P3W"],
    "email": ["a@b.example"],
    "hostname": ["a.example", "localhost"],
    "uri": ["https://a.example/b?c#d", "mailto:a@b"],
    "uuid": ["123e4567-e89b-12d3-a456-426614174000"],
    "ipv4": ["127.0.0.1"],
    "ipv6": ["::1"],
    "regex": ["^a+$"],
    "json-pointer": ["", "/a/0/~1"],
    "multiline": ["a\nb"],
}
BAD = {
    "date-time": ["junk", "2024-01-15", "2024-01-15T09:50:00", "2024-13-01T00:00:00Z", "20240115T095000Z", ""],
    "date": ["2024-02-30", "20240101", "2024-W01-1", "1.2.2024"],
    "time": ["25:00", "9:50", "0950", ""],
    "duration": ["P", "PT", "5m", "P1"],
    "email": ["a", "@b", "a b@c"],
    "hostname": ["-a", "a b", "", "a" * 64],
    "uri": ["junk", "//a", "http://a b", "https:"],
    "uuid": ["123", "123e4567e89b12d3a456426614174000"],
    "ipv4": ["1.2.3", "::1", "256.1.1.1"],
    "ipv6": ["127.0.0.1", "::g", "fe80::1%eth0"],
    "regex": ["("],
    "json-pointer": ["a", "/~2"],
}


@pytest.mark.parametrize("name", FORMATS)
def test_formats(name: str) -> None:
    for extra in ({}, {"minLength": 0}):
        schema = {"type": "string", "format": name, **extra}
        assert [text for text in GOOD[name] if mistake_in(text, schema)] == []
        assert [text for text in BAD.get(name, []) if not mistake_in(text, schema)] == []


@pytest.mark.parametrize(
    ("value", "schema", "fits"),
    [
        (5, {"type": "integer"}, True),
        (5.0, {"type": "integer"}, True),
        (True, {"type": "integer"}, False),
        (True, {"type": "number"}, False),
        (1.5, {"type": "number"}, True),
        (None, {"type": ["string", "null"], "format": "date-time"}, True),
        (5, {"type": ["string", "null"]}, False),
        ({}, {"type": "object"}, True),
        ([], {"type": "array"}, True),
        ("x", {}, True),
        ("b", {"enum": ["a"]}, False),
        ("a", {"enum": ["a"]}, True),
        (["x"], {"type": "array", "items": {"type": "string", "format": "uuid"}}, False),
        (5, {"type": "integer", "maximum": 4}, False),
        ("x", {"$ref": "https://json-schema.org/draft/2020-12/none"}, False),
        ("x", {"$ref": "http://127.0.0.1:9/schema"}, False),
        ("x", {"pattern": "^y"}, False),
    ],
)
def test_schemas_agree_with_the_library(value: Any, schema: dict[str, Any], fits: bool) -> None:
    assert (mistake_in(value, schema) is None) == fits
    assert (mistake_in(value, {**schema, "$comment": "by jsonschema"}) is None) == fits


PARAMS = """params:
  since: {type: [string, "null"], format: date-time, default: null}
  count: 5
  name: {type: string, minLength: 2}
"""


def test_defaults_are_filled_in(right: Callable[..., Pipeline]) -> None:
    pipeline = right(PARAMS)
    assert pipeline.params["count"] == {"default": 5}
    assert resolve_params(pipeline, {"name": "ab"}) == {"since": None, "count": 5, "name": "ab"}
    given = {"name": "ab", "count": "x", "since": "2024-01-01T00:00:00Z"}
    assert resolve_params(pipeline, given) == {"since": "2024-01-01T00:00:00Z", "count": "x", "name": "ab"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "must be given the param 'name'"),
        ({"name": "a"}, "param 'name' of pipeline 'p' does not fit: 'a' is too short"),
        (
            {"name": "ab", "since": "junk"},
            "param 'since' of pipeline 'p' wants text of the format date-time, not 'junk'",
        ),
        ({"name": "ab", "sinc": 1}, "has no param 'sinc'; did you mean 'since'"),
    ],
)
def test_wrong_params_of_a_run(right: Callable[..., Pipeline], given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        resolve_params(right(PARAMS), given)


def test_params_of_a_spec(wrong: Callable[..., list[str]]) -> None:
    head = """version: 1
schedule: "@hourly"
params:
  a: {type: string}
  b: {type: strin, default: x}
  c: {type: 5, format: [x]}
  d: {type: string, format: data-time, default: x}
  e: {type: object, properties: {format: {type: string, format: nope}}, default: {}}
  f: {type: integer, minimum: low, default: 1}
  g: {type: integer, maximum: 3, default: 4}
  h: {format: date-time, default: 2024-01-01}
  not-a-name: 5
  i: {$ref: "#/nowhere", default: 1}
steps:
  - {key: extract, type: extract, adapter: inline, config: {rows: []}}
  - {key: load, type: load, adapter: stdout}
"""
    assert [each.partition(": ")[0] for each in wrong(head)] == [
        "4:6", "5:13", "6:13", "6:24", "7:29", "8:65", "9:31", "10:43", "11:35", "12:3", "13:35",
    ]  # fmt: skip


def test_without_a_schedule_a_default_may_be_missing_or_wait_for_the_form(right: Callable[..., Pipeline]) -> None:
    pipeline = right("params:\n  a: {type: string}\n  b: {type: string, default: null}\n")
    with pytest.raises(ConfigurationError, match="param 'b' of pipeline 'p' wants string, not null"):
        resolve_params(pipeline, {"a": "x"})
