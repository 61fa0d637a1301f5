"""A load that is killed, and what must hold of it at any time."""

from __future__ import annotations

import base64
import json
import random
import signal
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psycopg

from tests.kill.crashing import STARTED, What
from tests.kill.killing import Started, again_and_again
from tests.world import EVENTS_ALONE, World

APPENDING = (
    EVENTS_ALONE.replace("key: [id]", "key: []").replace("strategy: insert", "strategy: append")
    .replace("limit: 1000", "limit: 300").replace("owner: data", "throughput: {batch_size: 600}")
)  # fmt: skip
"""Without a key nothing hides a page that is loaded twice; small pages and commits give many points to be killed at."""

CHECKPOINT = "select version, cursor from _datahub_checkpoint where stream = 'extract>load'"
COUNT = "select count(*) from ingested_events"


class Standing(NamedTuple):
    """Where a load stands, seen in one snapshot; none of it may ever become less."""

    version: int = 0
    position: int = 0
    """Records of the source that are behind the checkpoint."""
    rows: int = 0


class Load:
    """One spec, run again and again until all is there; then from the start."""

    def __init__(self, world: World, text: str, *, exact: bool = True, name: str = "datasync_events"):
        """`exact`: each record of the source makes one row, so that rows and position are always the same number."""
        self.world, self.exact = world, exact
        self.spec: Path = world.spec(text.replace("id: datasync_events", f"id: {name}"), name)
        self.before = Standing()

    # --- one run

    def started(self, point: str, nth: int, what: What, *options: object) -> Started:
        """A run under way."""
        return Started.at(point, nth, what, self.world.environment, self.world.home, "run", self.spec, *options)

    def command(self, *arguments: object) -> Started:
        """Another command of the same world, which passes no point."""
        return Started.at(STARTED, 0, "say", self.world.environment, self.world.home, *arguments)

    def killed(self, chance: random.Random, longest: float) -> bool:
        """Kill it at a random moment; whether the kill came before its end."""
        run = self.started(STARTED, 1, "say")
        assert run.reached(), run.said()
        run.ended(within=chance.uniform(0, longest))
        run.signal(signal.SIGKILL)
        return self.judged(run)

    def crashed(self, point: str, nth: int) -> bool:
        """Have it kill itself at a point; whether it got there."""
        return self.judged(self.started(point, nth, "kill"))

    def survived(self, run: Started) -> None:
        """A run that went on in spite of all, to its end."""
        assert run.ended() == 0, run.said()
        self.look()
        self.finished()

    def judged(self, run: Started) -> bool:
        """Look at what a run left behind; whether it was killed."""
        status = run.ended()
        assert status in (0, -signal.SIGKILL), run.said()
        self.look()
        if status == 0:
            self.finished()
        return status != 0

    def kill_at(self, point: str, *, seed: int, furthest: int, kills: int) -> None:
        """Kill it at a point so many times, then let it run to its end."""
        again_and_again(lambda chance: self.crashed(point, chance.randint(1, furthest)), seed=seed, times=kills)
        self.complete()

    def kill_at_random(self, *, seed: int, longest: float, kills: int) -> None:
        """Kill it at random moments, then let it run to its end."""
        again_and_again(lambda chance: self.killed(chance, longest), seed=seed, times=kills)
        self.complete()

    def complete(self) -> None:
        """Run it to its end."""
        self.survived(self.started(STARTED, 1, "say"))

    # --- what must hold

    def standing(self) -> Standing:
        """Version, position and rows, seen at one moment."""
        with psycopg.connect(self.world.dsn) as connection:
            connection.execute("set transaction isolation level repeatable read")
            found, rows = [
                connection.execute(statement).fetchall() if self._there(connection, table) else []
                for table, statement in (("_datahub_checkpoint", CHECKPOINT), ("ingested_events", COUNT))
            ]
        version, cursor = found[0] if found else (0, {"at": None, "skip": 0})
        return Standing(version, offset(cursor["at"]) + cursor["skip"], rows[0][0] if rows else 0)

    def _there(self, connection: psycopg.Connection[tuple[Any, ...]], table: str) -> bool:
        return connection.execute("select to_regclass(%s)", [table]).fetchone() != (None,)

    def look(self) -> None:
        """Nothing has gone back, nothing is missing, nothing is there twice."""
        now = self.standing()
        assert all(new >= old for new, old in zip(now, self.before, strict=True)), f"{now} after {self.before}"
        assert not self.exact or now.rows == now.position, f"{now}: rows and position differ"
        self.before = now

    def finished(self) -> None:
        """The load has come to its end: everything is there, once; then from the start again."""
        missing, surplus = self.missing(), self.surplus()
        assert not missing, f"{missing.total()} lost: in the source, and not in the table"
        assert not surplus, f"{surplus.total()} doubled: there more than once, or not in the source"
        self.reset()

    def missing(self) -> Counter[str]:
        """Ids of the source that are not in the table."""
        return self.expected - self.found()

    def surplus(self) -> Counter[str]:
        """Ids in the table that are not in the source, or not so often."""
        return self.found() - self.expected

    def found(self) -> Counter[str]:
        """The ids in the table, with how often each is there."""
        return Counter(row[0] for row in self.world.query("select id from ingested_events"))

    @cached_property
    def expected(self) -> Counter[str]:
        """The ids that a whole load leaves in the table."""
        ids = [each["id"] for each in everything(self.world)]
        return Counter(ids if self.exact else set(ids))

    def reset(self) -> None:
        """Empty the table and forget the position."""
        self.world.query("truncate ingested_events")
        self.world.query("truncate _datahub_checkpoint")
        self.before = Standing()


class RejectingLoad(Load):
    """A load of an API with poison, into a table with a key: each good record is there once, each bad one a reject."""

    def __init__(self, world: World, text: str):
        super().__init__(world, text, exact=not world.api.poison)

    def finished(self) -> None:
        """All rows and all rejects are there, once; then from the start again."""
        there = self.world.api.stats()
        rows, rejects = self.found(), self.rejects()
        good = there["events"] - there["poisonous"]
        assert len(rows) == good, f"{good - len(rows)} lost: in the source, and not in the table"
        assert rows.total() == good, f"{rows.total() - good} doubled: there more than once"
        assert len(rejects) == there["poisonous"], f"{there['poisonous'] - len(rejects)} rejects lost"
        assert rejects.total() == len(rejects), f"{rejects.total() - len(rejects)} rejects doubled"
        self.reset()

    def rejects(self) -> Counter[tuple[int, int]]:
        """Where the rejects stood in the load, with how often each is there."""
        listing = self.command("rejects", "list", "--limit", 100_000, "--json")
        assert listing.ended() == 0, listing.said()
        rows = [json.loads(line) for line in listing.said().splitlines() if line.startswith("{")]
        return Counter((row["version"], row["position"]) for row in rows)

    def reset(self) -> None:
        """Forget the rejects, too: their versions come again."""
        super().reset()
        for file in self.world.home.glob("airflow_datahub.db*"):
            file.unlink()


def everything(world: World) -> Sequence[dict[str, Any]]:
    """All records of the API, in its order."""
    found: list[dict[str, Any]] = []
    with httpx.Client(headers={"X-API-Key": world.api.api_key}, trust_env=False, timeout=30) as client:
        while True:
            query = {"offset": len(found), "limit": 10_000}
            page = client.get(f"{world.api.url}/api/v1/events", params=query).raise_for_status().json()
            found += page["data"]
            if not page["hasMore"]:
                return found


def offset(position: object) -> int:
    """How many records are before a position of the mock API: a cursor, an offset, or None for the start."""
    if position is None or isinstance(position, int):
        return position or 0
    text = str(position)
    return int(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().split(":")[0])
