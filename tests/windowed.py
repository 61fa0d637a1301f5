"""An API of a few records a day, asked for by window or name, that counts its requests and fails where told."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.hostile import Asked, reply

LIMIT = 3
"""Records a page."""

SPEC = """version: 1
{head}
steps:
  - key: events
    type: extract
    adapter: http_api
    config:
      connection: api
      path: /events
      query: {query}
      records: data
      paging: {{type: cursor, param: cursor, next: next, more: more}}
    partition: {partition}
  - key: load
    type: load
    adapter: postgres
    config: {{connection: warehouse, table: events, {load}}}
"""
BY_DAY = "{by: window, window: {from: 2024-01-01, to: now, size: 1d}}"
BETWEEN = "{from: '{{ partition.from }}', to: '{{ partition.to }}'}"
BY_NAME = "{from: '{{ partition.key }}'}"
APPEND = "strategy: append, columns: {id: text, day: text}"
"""Nothing hides what is loaded twice."""


def from_source(partition: str, adapter: str, config: str, load: str = APPEND) -> str:
    """The same pipeline with another source."""
    text = spec(partition, load=load).replace("adapter: http_api", f"adapter: tests.engine.odd:{adapter}")
    return f"{text[: text.index('    config:')]}    config: {config}\n{text[text.index('    partition:') :]}"


def spec(partition: str = BY_DAY, query: str = BETWEEN, head: str = "", load: str = APPEND) -> str:
    """A pipeline that reads the API in parts."""
    return SPEC.format(partition=partition, query=query, head=head, load=load)


@dataclass
class Windowed:
    """By the day, or name, that a window begins with: what it holds."""

    days: dict[str, int]
    fails: Counter[str] = field(default_factory=Counter)
    """How many requests for it are still to fail."""
    asked: Counter[str] = field(default_factory=Counter)

    def __call__(self, asked: Asked) -> bytes:
        """One page."""
        day = asked.query["from"][:10]
        self.asked[day] += 1
        start = int(asked.query.get("cursor", "0"))
        if start and self.fails[day]:  # behind the first page
            self.fails[day] -= 1
            return reply({"error": "out of order"}, 503)
        end = min(start + LIMIT, self.days.get(day, 0))
        records = [{"id": f"{day}-{n}", "day": day} for n in range(start, end)]
        more = end < self.days.get(day, 0)
        return reply({"data": records, "more": more, "next": str(end) if more else None})

    @property
    def ids(self) -> list[str]:
        """Of all records."""
        return sorted(f"{day}-{n}" for day, count in self.days.items() for n in range(count))

    def counts(self) -> dict[str, Any]:
        """How often each was asked for since the last time."""
        counted, self.asked = dict(self.asked), Counter()
        return counted
