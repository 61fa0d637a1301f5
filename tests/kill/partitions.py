"""A pipeline that reads the events in windows of an hour, and loads of it that are killed."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg

from airflow_datahub.demo.events import BEGIN, STEP
from tests.kill.load import Load, Standing, offset
from tests.world import World

HOURLY = """version: 1
throughput: {batch_size: 300}
steps:
  - key: extract
    type: extract
    adapter: http_api
    config:
      connection: datasync
      path: /events
      query: {since: "{{ partition.from }}", until: "{{ partition.to }}"}
      records: data
      paging: {type: cursor, param: cursor, next: nextCursor, more: hasMore, limit: 200}
    partition:
      by: window
      window: {from: 2026-01-01, to: 2026-01-02T02:00, size: 1h}
  - key: load
    type: load
    adapter: postgres
    config:
      connection: warehouse
      table: ingested_events
      strategy: append
      columns: {id: text, data: {type: jsonb, from: $}}
      evolution: freeze
"""
"""Without a key nothing hides what is loaded twice."""

STREAMS = "select stream, version, cursor from _datahub_checkpoint where stream like 'extract[%]>load'"


class PartitionLoad(Load):
    """Its position is the sum of those in all windows."""

    def __init__(self, world: World, text: str = HOURLY, *, exact: bool = True):
        super().__init__(world, text, exact=exact, name="hourly")

    def standing(self) -> Standing:
        """Of all windows, seen at one moment."""
        with psycopg.connect(self.world.dsn) as connection:
            connection.execute("set transaction isolation level repeatable read")
            found, rows = [
                connection.execute(statement.encode()).fetchall() if self._there(connection, table) else []
                for table, statement in (
                    ("_datahub_checkpoint", STREAMS),
                    ("ingested_events", "select count(*) from ingested_events"),
                )
            ]
        position = sum(max(offset(cursor["at"]) - first(stream), 0) + cursor["skip"] for stream, _, cursor in found)
        return Standing(sum(version for _, version, _ in found), position, rows[0][0] if rows else 0)


def first(stream: str) -> int:
    """The offset of the first event in the window of a stream."""
    begins = stream.partition("[")[2].partition("/")[0]
    moment = datetime.fromisoformat(begins)
    return int((moment.replace(tzinfo=UTC).timestamp() - BEGIN) // STEP)
