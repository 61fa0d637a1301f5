"""A pipeline with three branches that meet again, and loads of it that are killed."""

from __future__ import annotations

import random
import shutil
import signal
from collections import Counter
from pathlib import Path

from tests.kill.crashing import STARTED
from tests.kill.load import Load, Standing
from tests.world import World

GRAPH = """version: 1
throughput: {batch_size: 600}
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
  - key: split
    type: route
    branches: {clicks: {field: type, eq: click}, views: {field: type, in: [page_view, search]}}
    default: others
  - {key: clicked, type: transform, operators: [{set: {field: way, value: clicks}}]}
  - {key: viewed, type: transform, operators: [{set: {field: way, value: views}}]}
  - {key: other, type: transform, operators: [{set: {field: way, value: others}}]}
  - {key: together, type: merge}
  - key: load
    type: load
    adapter: postgres
    config:
      connection: warehouse
      table: ingested_events
      strategy: append
      columns: {id: text, way: text, data: {type: jsonb, from: $}}
edges:
  - {from: extract, to: tidy}
  - {from: tidy, to: split}
  - {from: split, branch: clicks, to: clicked}
  - {from: split, branch: views, to: viewed}
  - {from: split, branch: others, to: other}
  - {from: clicked, to: together}
  - {from: viewed, to: together}
  - {from: other, to: together}
  - {from: together, to: load}
"""
"""Without a key nothing hides what is loaded twice."""


class GraphLoad(Load):
    """What is loaded is less than what is read until the run ends: only then rows and records are compared."""

    def __init__(self, world: World, text: str = GRAPH):
        super().__init__(world, text, exact=True, name="graph")

    @property
    def spool(self) -> Path:
        """Where the files between its stages are."""
        return self.world.home / "airflow_datahub_spool"

    def killed(self, chance: random.Random, longest: float) -> bool:
        """Kill it at a random moment; whether the kill came before its end."""
        run = self.started(STARTED, 1, "say")
        run.ended(within=chance.uniform(0, longest))
        run.signal(signal.SIGKILL)
        return self.judged(run)

    def standing(self) -> Standing:
        """The rows alone: where the source stands is known once all is loaded."""
        return Standing(rows=self.world.count())

    def look(self) -> None:
        """Nothing has gone from the table."""
        now = self.standing()
        assert now.rows >= self.before.rows, f"{now} after {self.before}"
        self.before = now

    def finished(self) -> None:
        """All rows are there once, and nothing is left of the files."""
        left = [path for path in self.spool.rglob("*") if path.is_file()]
        assert not left, f"{len(left)} files are left: {left[:3]}"
        super().finished()

    def found(self) -> Counter[str]:
        """The ids in the table, once there is one."""
        return super().found() if self.world.count() else Counter()

    def reset(self) -> None:
        """Forget the positions, too."""
        self.world.query("truncate ingested_events")
        self.world.query("truncate _datahub_checkpoint")
        self.before = Standing()
        shutil.rmtree(self.spool, ignore_errors=True)
        for file in self.world.home.glob("airflow_datahub.db*"):
            file.unlink()
