from __future__ import annotations

import json
from typing import Any

import msgspec

from airflow_datahub.contract import Batch, Run
from airflow_datahub.engine.chain import compiled
from airflow_datahub.engine.remade import Remade
from airflow_datahub.spec import loads

SPEC = """
version: 1
steps:
  - {key: extract, type: extract, adapter: inline, config: {rows: []}}
  - {key: tidy, type: transform, operators: [{rename: {from: a, to: b}}, {filter: {drop: {field: b, eq: out}}}]}
  - {key: load, type: load, adapter: stdout, config: {}}
"""


def test_records_are_made_again_as_they_were_and_once() -> None:
    chain = compiled(loads(SPEC, "pipeline.yaml"), Run(pipeline="pipeline", run_id="r"), {})
    rows: list[list[Any]] = [[{"a": 1}, {"a": "out"}], [5, {"a": None}], []]
    pieces = [Batch([msgspec.Raw(json.dumps(row).encode()) for row in each]) for each in rows]
    records = [record for piece in pieces for record in chain.apply(piece).records]
    again = Remade(chain, pieces, len(records))
    assert len(again) == 2
    assert again[:] == records == list(again) == [{"b": 1}, {"b": None}]
    assert again[1] is again[1]
