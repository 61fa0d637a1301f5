"""Stages that one session fills while another empties them: unlogged tables, named, and locked by their owner.

Who holds the advisory lock on a stage's name lives; a stage whose lock is free was left behind and may be dropped.
"""

from __future__ import annotations

import hashlib
import queue
import re
import secrets
from collections.abc import Sequence
from contextlib import suppress

import psycopg
from psycopg import sql

from airflow_datahub.contract import Log, Run
from airflow_datahub.postgres.connecting import Session
from airflow_datahub.postgres.declared import LONGEST_NAME, OURS
from airflow_datahub.postgres.failures import said
from airflow_datahub.postgres.loading import copy, planned_stage, staged
from airflow_datahub.postgres.rows import Lines, Slot
from airflow_datahub.postgres.tables import Layout

PREFIX = f"{OURS}stage_"

STAGES = 3
"""One is emptied, one is full, one is being filled."""

_UNLOGGED = "create unlogged table {} with (autovacuum_enabled = off, toast.autovacuum_enabled = off) as {}"
_FOUND = """
select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = %s and starts_with(c.relname, %s) and c.relkind = 'r' and c.relpersistence = 'u'
  and pg_has_role(c.relowner, 'USAGE')"""


class Stages:
    """The stages of one writer; they live as long as the session that made them."""

    def __init__(self, session: Session, layout: Layout, run: Run):
        """Lock their names, then create them."""
        token = secrets.token_hex(5)
        self.names = [stage_name(run, token, number) for number in range(STAGES)]
        self.columns = frozenset(layout.slots)
        self._session, self._schema = session, layout.schema
        self._free: queue.SimpleQueue[str] = queue.SimpleQueue()
        query = planned_stage(layout) if layout.planned else staged(layout)
        with session.transaction():
            for name in self.names:
                session.execute("select pg_advisory_lock(%s)", [lock_of(name)])
                session.execute(sql.SQL(_UNLOGGED).format(self.table(name), query))
                self._free.put(name)

    def table(self, name: str) -> sql.Identifier:
        """A stage, to be put into statements."""
        return sql.Identifier(self._schema, name)

    def take(self) -> str | None:
        """A stage that nobody needs; None where there is none."""
        with suppress(queue.Empty):
            return self._free.get_nowait()
        return None

    def give_back(self, name: str) -> None:
        """Nobody needs what is in this stage."""
        self._free.put(name)

    def fill(self, name: str, slots: Sequence[Slot], lines: Lines) -> None:
        """Replace what is in the stage; others see the rows once this returns."""
        with self._session.transaction():
            self._session.execute(sql.SQL("truncate {}").format(self.table(name)))
            copy(self._session, self.table(name), slots, lines, freeze=True)


def stage_name(run: Run, token: str, number: int) -> str:
    """Names the run, and the index of a mapped task, for people; the token, one a try, makes it unique."""
    end = f"_{token}_{number}" if run.map_index < 0 else f"_{run.map_index}_{token}_{number}"
    name = re.sub(r"[^A-Za-z0-9]+", "_", run.run_id)[: LONGEST_NAME - len(PREFIX) - len(end)]
    return PREFIX + name + end


def lock_of(name: str) -> int:
    """The key of the advisory lock on a stage."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)


def drop(session: Session, schema: str, names: Sequence[str]) -> None:
    """Drop these stages, those that are there. Waits a second at most for those who use them."""
    with session.transaction():
        session.execute("set local lock_timeout = '1s'")
        for name in names:
            session.execute(sql.SQL("drop table if exists {}").format(sql.Identifier(schema, name)))


def drop_abandoned(session: Session, schema: str, log: Log) -> None:
    """Drop the stages whose owners are gone; never one whose owner lives."""
    dropped = 0
    for (name,) in session.execute(_FOUND, [schema, PREFIX]).fetchall():
        if session.execute("select pg_try_advisory_lock(%s)", [lock_of(name)]).fetchone() != (True,):
            continue
        try:
            drop(session, schema, [name])
            dropped += 1
        except psycopg.Error as error:  # it costs nothing but its room; the next start tries again
            if session.closed:
                raise
            log.warning("stage_not_dropped", table=f"{schema}.{name}", reason=said(error))
        session.execute("select pg_advisory_unlock(%s)", [lock_of(name)])
    if dropped:
        log.info("stages_dropped", tables=dropped, reason="their owners are gone")
