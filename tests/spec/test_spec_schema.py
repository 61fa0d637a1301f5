"""The JSON Schema for editors: right specs fit it, wrong ones do not."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from airflow_datahub import adapters
from airflow_datahub.spec import json_schema
from airflow_datahub.spec.document import read

RIGHT = """version: 1
id: p
schedule: "*/15 * * * *"
catchup: false
params:
  since: {type: [string, "null"], format: date-time, default: null}
  count: 5
rejects: {max: 1%, keep: null}
retry_delay: 5m
steps:
  - key: extract
    type: extract
    stage: auto
    adapter: inline
    config:
      rows: [{a: 1}]
  - {key: tidy, type: transform, operators: [{"acme.text:Shout": {field: a, on_error: drop}}]}
  - {key: load, type: load, adapter: stdout}
edges: [{from: extract, to: tidy}, {from: tidy, to: load}]
tests: [{name: a, given: {extract: [{}]}, expect: {load: []}, now: 2024-01-01}]
"""


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def mistakes(validator: Draft202012Validator, text: str) -> list[Any]:
    node, problems = read(text, "p.yaml", {})
    assert node is not None
    assert problems == []
    return list(validator.iter_errors(node.value))


def test_a_right_spec_fits(validator: Draft202012Validator) -> None:
    assert mistakes(validator, RIGHT) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version: 1", "version: 2"),
        ("version: 1\n", ""),
        ("id: p", "ide: p"),
        ("retry_delay: 5m", "retry_delay: 5 minutes"),
        ("catchup: false", "catchup: true"),
        ("max: 1%", "max: lots"),
        ("format: date-time", "minLength: low"),
        ("stage: auto", "stage: mine"),
        ("type: extract", "type: extrakt"),
        ("adapter: inline", "adapter: inlin"),
        ("rows: [{a: 1}]", "rowz: [{a: 1}]"),
        ("config:\n      rows: [{a: 1}]", "retries: 1"),
        ("rows: [{a: 1}]", "rows: [5]"),
        ("acme.text:Shout", "shout"),
        ("adapter: stdout", "adapter: stdout, config: {a: 1}"),
        ("key: load", "key: Load"),
        ("key: load, ", ""),
        ("to: load", "too: load"),
        ("given: ", "givn: "),
    ],
)
def test_a_wrong_spec_does_not(validator: Draft202012Validator, old: str, new: str) -> None:
    assert old in RIGHT
    assert mistakes(validator, RIGHT.replace(old, new, 1)) != []


def test_every_adapter_is_in_it_with_its_description() -> None:
    definitions = json_schema()["$defs"]
    kinds: tuple[adapters.Kind, ...] = ("sources", "transforms", "sinks")
    for kind in kinds:
        for name in adapters.names(kind):
            own = definitions[f"{kind}.{name}"]
            assert own["type"] == "object", name
            assert "Example:" not in own["description"], name
            assert "cannot be imported" not in own["description"], name
            assert all("description" in field or "enum" in field for field in own["properties"].values()), name


def test_every_word_of_a_pipeline_is_described() -> None:
    schema = json_schema()
    for word, field in schema["properties"].items():
        described = schema["$defs"][field["$ref"].rpartition("/")[2]] if "$ref" in field else field
        assert "description" in described or "enum" in described, word
