"""Pipelines that are held to what is promised, and the APIs that they read from."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, quote_plus

from tests.hostile import Asked, reply

SECRET = "s3cr3t/of+a/c0nnection+7"
SHOWN = (SECRET, quote(SECRET), quote(SECRET, safe=""), quote_plus(SECRET), quote(SECRET, safe="").lower())

BEFORE, AFTER = "said before", "said after"

_HEAD = "version: 1\nid: {id}\nretry_delay: 1s\n"
_EXTRACT = """steps:
  - key: extract
    type: extract
    adapter: http_api
    config:
      connection: {id}
      path: /list
      records: data
      paging: {{type: cursor, param: cursor, next: next, more: more}}
"""
_LOAD = """  - key: load
    type: load
    adapter: postgres
    config: {{connection: warehouse, table: {id}, key: [id]}}
"""

EDITED = (_HEAD + "throughput: {{batch_size: 2}}\n" + _EXTRACT).format(id="edited") + (
    f"  - key: tidy\n    type: transform\n    operators: [set: {{field: word, value: {BEFORE}}}]\n"
    + _LOAD.format(id="edited")
)
"""Writes into each row what its text says."""

ECHOED = (_HEAD + "rejects: {{mask: [amount]}}\n" + _EXTRACT).format(id="echoed") + (
    "  - key: tidy\n    type: transform\n    operators: [to_number: {field: amount}]\n" + _LOAD.format(id="echoed")
)
"""Rejects what is no number, with a reason that quotes it; its record is data, which the spec itself has to mask."""

MENDED = """version: 1
id: mended
steps:
  - key: extract
    type: extract
    adapter: inline
    config: {rows: [{id: 1, amount: "10"}, {id: 2, amount: a}, {id: 3, amount: b}, {id: 4, amount: c}]}
  - {key: tidy, type: transform, operators: [{to_number: {field: amount}}]}
  - {key: load, type: load, adapter: postgres, config: {connection: warehouse, table: mended, strategy: append}}
"""
"""Rejects three of its four records, which a person then mends."""

MENDED_GRAPH = (
    MENDED.replace("id: mended", "id: mended_graph", 1).replace("table: mended", "table: mended_once")
    + """
  - {key: copy, type: load, adapter: postgres, config: {connection: warehouse, table: mended_twice, strategy: append}}
edges: [{from: extract, to: tidy}, {from: tidy, to: load}, {from: tidy, to: copy}]
"""
)
"""The same, into two tables."""

GRAPH = """version: 1
id: graph
params: {most: 20000}
retry_delay: 1s
steps:
  - key: extract
    type: extract
    adapter: http_api
    config:
      connection: datasync
      path: /events
      records: data
      paging: {type: cursor, param: cursor, next: nextCursor, more: hasMore, limit: 1000}
  - {key: tidy, type: transform, operators: [{parse_date: {field: timestamp}}]}
  - {key: split, type: route, branches: {clicks: {field: type, eq: click}}, default: rest}
  - {key: clicked, type: transform, operators: [{set: {field: way, value: clicks}}]}
  - {key: others, type: transform, operators: [{set: {field: way, value: others}}]}
  - {key: together, type: merge}
  - {key: approve, type: gate, message: "Load {{ params.most }} at most, of {{ run_id }}?"}
  - key: load
    type: load
    adapter: postgres
    config:
      connection: warehouse
      table: graph
      key: [id]
      columns: {id: text, way: text, data: {type: jsonb, from: $}}
edges:
  - {from: extract, to: tidy}
  - {from: tidy, to: split}
  - {from: split, branch: clicks, to: clicked}
  - {from: split, branch: rest, to: others}
  - {from: clicked, to: together}
  - {from: others, to: together}
  - {from: together, to: approve}
  - {from: approve, to: load}
"""
"""Two branches that meet again, and a person who is asked before anything is loaded."""


@dataclass
class Halting:
    """Pages of two records, of which the second one lets itself be waited for, and is then out of order once."""

    end: int = 4
    released: threading.Event = field(default_factory=threading.Event)
    halted: bool = False

    def __call__(self, asked: Asked) -> bytes:
        """The page at a cursor."""
        at = int(asked.query.get("cursor", 0))
        if at == 2 and not self.halted:
            self.halted = True
            self.released.wait(60)
            return reply({"error": "out of order"}, 503)
        found = [{"id": n} for n in range(at, min(at + 2, self.end))]
        return reply({"data": found, "next": str(at + 2), "more": at + 2 < self.end})


@dataclass
class Echoing:
    """Throws back what it was given: first in place of a page, then in values that are no numbers."""

    answered: int = 0

    def __call__(self, asked: Asked) -> bytes:
        """One page, the second time."""
        self.answered += 1
        given = (asked.headers["authorization"].removeprefix("Bearer "), *SHOWN)
        if self.answered == 1:
            return reply(" ".join(given))
        wrong = [{"id": n, "amount": form} for n, form in enumerate(given, 2)]
        return reply({"data": [{"id": 1, "amount": "7"}, *wrong], "next": None, "more": False})


def lineage(events: Path, dag_id: str) -> Mapping[str, str]:
    """The environment of an Airflow that writes OpenLineage's events of one DAG into a file, and none of the others."""
    policy = [
        {"scope": {}, "controls": {"emit": False}},
        {"scope": {"dag_id": dag_id}, "controls": {"emit": True}},
    ]
    transport = {"type": "file", "log_file_path": str(events), "append": True}
    return {
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
        "AIRFLOW__OPENLINEAGE__EMISSION_POLICY": json.dumps(policy),
    }
