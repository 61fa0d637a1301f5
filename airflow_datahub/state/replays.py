"""What becomes of rejects: they are replayed, changed by a person, discarded, and forgotten after a while.

A replay takes rejects for itself before it reads them, so that no other one applies them, too; it keeps what it has
taken until it is through, whatever ends its process.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from airflow_datahub.errors import ConfigurationError
from airflow_datahub.state import tables
from airflow_datahub.state.database import Database
from airflow_datahub.state.rows import RejectRow, Which
from airflow_datahub.state.sealing import RECORD_LIMIT, Seal, encoded
from airflow_datahub.state.texts import storable

EVERY = Which()
_AT_ONCE = 8 << 20
"""Bytes of encrypted records."""
_SHOWN = 20
"""Ids that a text names."""


class Replays:
    """Of one store; its methods raise what those of the store do."""

    def __init__(self, database: Database, seal: Seal):
        self._database, self._seal = database, seal

    def take(self, pipeline: str, replay: str, which: Which, actor: str) -> int:
        """Take open rejects for a replay, the first time that one of its tasks asks; how many it has.

        Raises ConfigurationError for ids of which one cannot be replayed, and then none is taken."""
        table, change = tables.reject, {"state": "replaying", "replay": replay}
        with self._database.writing() as connection:
            _one_by_one(connection, pipeline, replay)
            if known := connection.execute(sa.select(sa.func.count()).where(*_of(pipeline, replay))).scalar_one():
                return int(known)
            free = [table.c.pipeline == pipeline, table.c.state == "open", table.c.record.is_not(None)]
            query = table.update().where(*free, *conditions(which)).values(change).returning(table.c.id)
            taken = sorted(connection.execute(query).scalars())
            if which.ids is not None and len(taken) < len(which.ids):
                raise ConfigurationError(self._why(connection, pipeline, replay, which.ids))
            if taken:
                self._audit(connection, actor, "rejects replay", pipeline, f"{_named(taken)} by run {replay!r}")
        return len(taken)

    def count(self, pipeline: str, which: Which) -> int:
        """How many open rejects these are."""
        table = tables.reject
        wanted = [table.c.pipeline == pipeline, table.c.state == "open", *conditions(which)]
        with self._database.reading() as connection:
            return int(connection.execute(sa.select(sa.func.count()).where(*wanted)).scalar_one())

    def taken(self, pipeline: str, replay: str, steps: Sequence[str], after: int, limit: int) -> list[RejectRow]:
        """The next ones of those that a replay has taken and that these steps have refused, by their ids, of 8 MiB or
        one record at most."""
        table = tables.reject
        mine = [*_of(pipeline, replay), table.c.step.in_(steps), table.c.id > after]
        with self._database.reading() as connection:
            sizes = connection.execute(
                sa.select(table.c.id, sa.func.length(table.c.record)).where(*mine).order_by(table.c.id).limit(limit)
            )
            ids = _few([(number, size or 0) for number, size in sizes])
            rows = connection.execute(sa.select(table).where(table.c.id.in_(ids)).order_by(table.c.id)).mappings()
            return [reject_row(dict(row), self._seal) for row in rows]

    def steps(self, pipeline: str, replay: str) -> list[str]:
        """The steps that have refused what a replay has taken."""
        query = sa.select(tables.reject.c.step).where(*_of(pipeline, replay)).distinct()
        with self._database.reading() as connection:
            return sorted(connection.execute(query).scalars())

    def result(self, pipeline: str, replay: str) -> tuple[int, int]:
        """Of a replay: how many rejects it has taken, and how many of them were refused again."""
        table = tables.reject
        again = sa.select(sa.func.count(table.c.earlier.distinct()))
        again = again.where(table.c.pipeline == pipeline, table.c.run_id == replay, table.c.state != "provisional")
        with self._database.reading() as connection:
            taken = connection.execute(sa.select(sa.func.count()).where(*_of(pipeline, replay))).scalar_one()
            return int(taken), int(connection.execute(again).scalar_one())

    def revisions(self, pipeline: str, which: Which) -> list[str]:
        """The revisions that open rejects are of."""
        table = tables.reject
        open_ones = [table.c.pipeline == pipeline, table.c.state == "open", *conditions(which)]
        with self._database.reading() as connection:
            return sorted(connection.execute(sa.select(table.c.revision).where(*open_ones).distinct()).scalars())

    def done(self, pipeline: str, replay: str) -> int:
        """What a replay has taken is dealt with; how many rejects."""
        return self._change(pipeline, replay, {"state": "replayed"})

    def free(self, pipeline: str, replay: str) -> int:
        """Give back what a replay has taken and not begun with; how many rejects."""
        return self._change(pipeline, replay, {"state": "open", "replay": None})

    def edit(self, reject: int, record: Any, actor: str) -> None:
        """Change the record of an open reject; what it was at first is kept. ConfigurationError where it is not open,
        or the record above the limit."""
        table, sealed = tables.reject, self._seal.close(record)
        if sealed is None:
            raise ConfigurationError(f"a record of more than {RECORD_LIMIT >> 20} MiB cannot be replayed")
        with self._database.writing() as connection:
            query = sa.select(table).where(table.c.id == reject, table.c.state == "open")
            row = connection.execute(query.with_for_update()).mappings().first()
            if row is None:
                raise ConfigurationError(f"reject {reject} is not there, or not open any more")
            change = {"record": sealed, "truncated": False, "original": row["original"] or row["record"]}
            connection.execute(table.update().where(table.c.id == reject).values(change))
            before = self._seal.open(row["record"]) if row["record"] else None
            self._audit(connection, actor, "rejects edit", row["pipeline"], _edited(reject, before, record))

    def discard(self, pipeline: str, which: Which, actor: str) -> int:
        """Give open rejects up; how many there were."""
        table = tables.reject
        wanted = [table.c.pipeline == pipeline, table.c.state == "open", *conditions(which)]
        with self._database.writing() as connection:
            query = table.update().where(*wanted).values(state="discarded").returning(table.c.id)
            ids = sorted(connection.execute(query).scalars())
            if ids:
                self._audit(connection, actor, "rejects discard", pipeline, _named(ids))
        return len(ids)

    def forget(self, pipeline: str, before: datetime, actor: str) -> int:
        """Delete rejects that were set aside before a moment and that no replay has in hand; how many there were."""
        table, states = tables.reject, ("open", "replayed", "discarded")
        old = [table.c.pipeline == pipeline, table.c.created_at < before, table.c.state.in_(states)]
        with self._database.writing() as connection:
            gone = connection.execute(table.delete().where(*old)).rowcount
            if gone:
                text = f"{gone:,} set aside before {before:%Y-%m-%d %H:%M:%S} UTC (rejects.keep)"
                self._audit(connection, actor, "rejects forget", pipeline, text)
        return gone

    def _change(self, pipeline: str, replay: str, values: Mapping[str, Any]) -> int:
        in_hand = [*_of(pipeline, replay), tables.reject.c.state == "replaying"]
        with self._database.writing() as connection:
            return connection.execute(tables.reject.update().where(*in_hand).values(values)).rowcount

    def _why(self, connection: sa.Connection, pipeline: str, replay: str, ids: frozenset[int]) -> str:
        """Why not all of these could be taken."""
        table = tables.reject
        query = sa.select(table.c.id, table.c.state, table.c.pipeline, table.c.replay).where(table.c.id.in_(ids))
        there = {row.id: row for row in connection.execute(query)}
        for number in sorted(ids):
            row = there.get(number)
            if row is None:
                return f"there is no reject {number}"
            if row.pipeline != pipeline:
                return f"reject {number} is one of pipeline {row.pipeline!r}, not of {pipeline!r}"
            if row.state == "open":
                return f"reject {number} cannot be replayed: its record was above the limit and is not kept"
            if row.replay != replay:
                by = f" by run {row.replay!r}" if row.replay else ""
                return f"reject {number} cannot be replayed: it is {row.state}{by}"
        return f"another replay has just taken one of {_named(sorted(ids))}"

    def _audit(self, connection: sa.Connection, actor: str, act: str, pipeline: str, detail: str) -> None:
        texts = {"actor": actor, "act": act, "pipeline": pipeline, "detail": detail}
        row = {"at": datetime.now(UTC)} | {name: storable(text) for name, text in texts.items()}
        connection.execute(tables.audit.insert(), row)


def _of(pipeline: str, replay: str) -> list[sa.ColumnElement[bool]]:
    return [tables.reject.c.pipeline == pipeline, tables.reject.c.replay == replay]


def _one_by_one(connection: sa.Connection, pipeline: str, replay: str) -> None:
    """Tasks of one replay that begin at once: the second sees what the first has taken."""
    columns = tables.run.c
    query = sa.select(columns.run_id).where(columns.pipeline == pipeline, columns.run_id == replay)
    connection.execute(query.with_for_update())


def _few(sizes: list[tuple[int, int]]) -> list[int]:
    total, ids = 0, list[int]()
    for number, size in sizes:
        total += size
        if ids and total > _AT_ONCE:
            break
        ids.append(number)
    return ids


def conditions(which: Which) -> list[sa.ColumnElement[bool]]:
    """What a query is narrowed by."""
    columns = tables.reject.c
    wanted = {"run_id": which.run_id, "step": which.step, "operator": which.operator}
    found: list[sa.ColumnElement[bool]] = [columns[name] == value for name, value in wanted.items() if value]
    found += [columns.id.in_(which.ids)] if which.ids is not None else []
    found += [columns.reason.contains(which.reason, autoescape=True)] if which.reason else []
    found += [columns.created_at >= which.since] if which.since else []
    return found


def reject_row(row: dict[str, Any], seal: Seal) -> RejectRow:
    """A row of the table with its record decrypted."""
    sealed, row["mask"] = row.pop("record"), tuple(json.loads(row.get("mask") or "[]"))
    row["edited"] = row.pop("original") is not None
    if sealed is None:
        why = f"the record is above the limit of {RECORD_LIMIT >> 20} MiB and was not kept"
        return RejectRow(**row, record=None, unreadable=why)
    try:
        return RejectRow(**row, record=seal.open(sealed))
    except LookupError as error:
        return RejectRow(**row, record=None, unreadable=str(error))


def _edited(reject: int, before: Any, after: Any) -> str:
    """What was changed, by the names of fields and by hashes: the values may be nobody's business."""
    changed = "the whole record"
    if isinstance(before, dict) and isinstance(after, dict):
        names = [name for name in {**before, **after} if before.get(name, ...) != after.get(name, ...)]
        changed = ", ".join(names[:_SHOWN]) or "nothing"
    hashes = [hashlib.sha256(encoded(each)).hexdigest()[:12] for each in (before, after)]
    return f"reject {reject}: {changed} ({hashes[0]} to {hashes[1]})"


def _named(ids: list[int]) -> str:
    more = f" and {len(ids) - _SHOWN:,} more" if len(ids) > _SHOWN else ""
    return f"reject{'s' if len(ids) > 1 else ''} {', '.join(map(str, ids[:_SHOWN]))}{more}"
