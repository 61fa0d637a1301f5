"""The store: run ledger, rejects and audit, in one database for all pipelines.

It is the only module of the state that callers import for itself, because SQLAlchemy comes with it (0.3 s).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa

from airflow_datahub import environment
from airflow_datahub.contract import Connection, Log, Silence, Stream, UndefinedConnection
from airflow_datahub.errors import ConfigurationError
from airflow_datahub.state import tables
from airflow_datahub.state.arrivals import quiet_since, told_at
from airflow_datahub.state.database import Database, PostgreSQL, SQLite
from airflow_datahub.state.keys import keys_beside, shared_keys
from airflow_datahub.state.logs import Logs
from airflow_datahub.state.positions import Positions
from airflow_datahub.state.replays import EVERY, Replays, conditions, reject_row
from airflow_datahub.state.revisions import Revisions
from airflow_datahub.state.rows import (
    AuditRow,
    Counters,
    Reject,
    RejectGroup,
    RejectRow,
    RejectState,
    RunRow,
    RunState,
    Which,
)
from airflow_datahub.state.sealing import Seal
from airflow_datahub.state.texts import storable

LOCK_WAIT = 30.0
"""Seconds to wait for others who write."""
MOST_REASONS = 10_000
"""Reasons that differ, by which the rejects of a run are grouped."""


class Store:
    """What outlives a run. Any thread may use it, and a process that forks takes it along (but like any SQLite: no fork
    while another thread is inside it).

    Every method is one transaction. They raise RunFailed while the database is locked or out of reach, and
    ConfigurationError where a person must act.
    """

    def __init__(self, database: Database, seal: Seal):
        self._database, self._seal = database, seal
        self.revisions = Revisions(database)
        self.positions = Positions(database)
        self.logs = Logs(database)
        self.replays = Replays(database, seal)

    @classmethod
    def open(
        cls,
        connections: Callable[[str], Connection] | None = None,
        home: Path | None = None,
        *,
        key: str | None = None,
        log: Log | None = None,
        wait: float = LOCK_WAIT,
    ) -> Self:
        """The store behind the connection of the option `store_connection`, or else the SQLite file under `home`.

        Connections and home are by default those of the environment, as is `key`: Fernet keys, separated by commas.
        Tables are made where they are missing. Raises ConfigurationError for a newer schema, a named connection that
        is not there, a shared store without a key, or an SQLite file where Airflow spreads tasks over machines.
        """
        key = key or environment.encryption_key()
        home = home or environment.airflow_home()
        database = located(connections, home, wait)
        tables.prepare(database)
        if isinstance(database, PostgreSQL):
            return cls(database, Seal(shared_keys(key, database.name)))
        return cls(database, Seal(keys_beside(home / "airflow_datahub.key", key, log or Silence())))

    def close(self) -> None:
        """Give everything back."""
        self._database.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(
        self,
        pipeline: str,
        run_id: str,
        revision: str,
        trigger: str,
        text: str = "",
        *,
        mask: Sequence[str] = (),
        dag: str | None = None,
        task: str | None = None,
        counts: bool = True,
    ) -> str:
        """A try of a run begins; a run that is known already has one try more, unless `counts` is False: then another
        task of it begins. The run's revision: of its first try.

        The text of a spec that becomes the run's is kept in the same transaction: who sees the run finds it. `mask` are
        paths into its rejects that are not to be shown, `dag` and `task` are what Airflow knows it as.
        """
        row = {"pipeline": pipeline, "run_id": run_id, "revision": revision, "trigger": trigger, "tries": 1}
        row |= {"state": "running", "started_at": _now(), "ended_at": None, "error": None}
        row |= {"mask": json.dumps(list(mask)) if mask else None, "dag": dag, "task": task}
        again = {"state": "running", "ended_at": None, "error": None, "tries": tables.run.c.tries + int(counts)}
        insert = self._database.upsert(tables.run).values(row)
        insert = insert.on_conflict_do_update(index_elements=list(tables.run.primary_key), set_=again)
        with self._database.writing() as connection:
            pinned = connection.execute(insert.returning(tables.run.c.revision)).scalar_one()
            if text and pinned == revision:
                self.revisions.keep_in(connection, pipeline, revision, text)
        return str(pinned)

    def save_steps(
        self,
        pipeline: str,
        run_id: str,
        steps: Mapping[str, Counters],
        places: Mapping[str, int] | None = None,
        *,
        partition: str = "",
    ) -> None:
        """What steps of a run have counted so far, over all its tries; replaces what was there. `places` are where they
        stand among all; None: these are all. `partition` is the key of the one that they have read; empty: there are
        none."""
        places = places or {key: place for place, key in enumerate(steps)}
        rows = [
            {"pipeline": pipeline, "run_id": run_id, "partition": partition, "step": key, "place": places[key]}
            | asdict(counters)
            for key, counters in steps.items()
        ]
        self._upsert(tables.step, rows, ["place", *asdict(Counters())])

    def end(self, pipeline: str, run_id: str, state: RunState, error: str | None = None) -> None:
        """A try of a run has ended so; LookupError for a run that never began."""
        values = {"state": state, "ended_at": _now(), "error": storable(error)}
        with self._database.writing() as connection:
            done = connection.execute(tables.run.update().where(*_is(tables.run, pipeline, run_id)).values(values))
        if not done.rowcount:
            raise LookupError(f"run {run_id!r} of pipeline {pipeline!r} never began")

    def abandon(self, dag: str, run_id: str, task: str | None, state: RunState, error: str) -> int:
        """What a run of a DAG (one task of it) left as running has ended without saying so; how many there were."""
        columns = tables.run.c
        left = [columns.dag == dag, columns.run_id == run_id, columns.state == "running"]
        left += [columns.task == task] if task else []
        values = {"state": state, "ended_at": _now(), "error": storable(error)}
        with self._database.writing() as connection:
            return connection.execute(tables.run.update().where(*left).values(values)).rowcount

    def run(self, pipeline: str, run_id: str) -> RunRow | None:
        """One run of the ledger."""
        found = self._read(sa.select(*_RUN).where(*_is(tables.run, pipeline, run_id)))
        return RunRow(**found[0]) if found else None

    def of_dag_run(self, dag: str, run_id: str) -> list[RunRow]:
        """What a run of a DAG has run, a pipeline each; of a spec's DAG that is the pipeline of its name."""
        of_dag = sa.func.coalesce(tables.run.c.dag, tables.run.c.pipeline) == dag
        query = sa.select(*_RUN).where(of_dag, tables.run.c.run_id == run_id)
        return [RunRow(**row) for row in self._read(query.order_by(tables.run.c.started_at, tables.run.c.pipeline))]

    def runs(
        self,
        pipeline: str | None = None,
        limit: int = 50,
        *,
        run_id: str | None = None,
        state: RunState | None = None,
        since: datetime | None = None,
    ) -> list[RunRow]:
        """The last runs, of one pipeline or of all, the newest first; those that began at `since` or later."""
        wanted = _is(tables.run, pipeline, run_id)
        wanted += [tables.run.c.state == state] if state else []
        wanted += [tables.run.c.started_at >= since] if since else []
        query = sa.select(*_RUN).where(*wanted)
        query = query.order_by(tables.run.c.started_at.desc(), tables.run.c.run_id.desc())
        return [RunRow(**row) for row in self._read(query.limit(limit))]

    def steps(self, pipeline: str, run_id: str) -> dict[str, Counters]:
        """What the steps of a run have counted, by key, in the order in which they were saved; of all partitions."""
        columns = [tables.step.c[name] for name in asdict(Counters())]
        query = sa.select(tables.step.c.step, *columns).where(*_is(tables.step, pipeline, run_id))
        found: dict[str, Counters] = {}
        for row in self._read(query.order_by(tables.step.c.place)):
            key = row.pop("step")
            found[key] = found.get(key, Counters()) + Counters(**row)
        return found

    def partitions(self, pipeline: str, run_id: str) -> dict[str, dict[str, Counters]]:
        """What the steps have counted in each partition of a run, by its key and theirs."""
        columns = [tables.step.c[name] for name in asdict(Counters())]
        wanted = [*_is(tables.step, pipeline, run_id), tables.step.c.partition != ""]
        query = sa.select(tables.step.c.partition, tables.step.c.step, *columns).where(*wanted)
        found: dict[str, dict[str, Counters]] = {}
        for row in self._read(query.order_by(tables.step.c.partition, tables.step.c.place)):
            partition, key = row.pop("partition"), row.pop("step")
            found.setdefault(partition, {})[key] = Counters(**row)
        return found

    def add_rejects(
        self,
        stream: Stream,
        owner: str,
        run_id: str,
        revision: str,
        version: int,
        rejects: Sequence[Reject],
        *,
        provisional: bool,
    ) -> None:
        """Keep what one commit sets aside, its records encrypted; they are durable once this returns.

        Provisional rejects are those of the commit of `version` by `owner`, all in one call: a call for the same commit
        replaces them, so that a commit may be tried again.
        """
        state: RejectState = "provisional" if provisional else "open"
        of_all = asdict(stream) | {"owner": owner, "run_id": run_id, "revision": revision, "version": version}
        of_all |= {"state": state, "created_at": _now()}
        rows = [of_all | self._row(reject) for reject in rejects]
        with self._database.writing() as connection:
            if provisional:
                before = _provisional(stream, tables.reject.c.version == version, tables.reject.c.owner == owner)
                connection.execute(tables.reject.delete().where(before))
            if rows:
                self._database.insert(connection, tables.reject, rows)

    def confirm(self, stream: Stream, version: int, owner: str) -> None:
        """The commit of `version` by `owner` is durable: its rejects are open. To be called before the next commit."""
        with self._database.writing() as connection:
            self._confirm(connection, stream, version, owner)

    def settle(self, stream: Stream, version: int, owner: str | None) -> int:
        """Decide what earlier tries left provisional, by the checkpoint (R11); how many rejects became open by it.

        Those of the checkpoint's own commit become open, other ones up to its version never were committed and are
        deleted. Those of a later version stay as they are: a process that was thought dead may still commit them, and
        then the next start finds them confirmed by the checkpoint. Without a checkpoint: version 0, owner None.
        """
        with self._database.writing() as connection:
            opened = self._confirm(connection, stream, version, owner)
            lost = _provisional(stream, tables.reject.c.version <= version)
            connection.execute(tables.reject.delete().where(lost))
        return opened

    def rejects(
        self,
        pipeline: str | None = None,
        which: Which = EVERY,
        state: RejectState | None = "open",
        limit: int = 100,
        *,
        before: int | None = None,
        like: int | None = None,
    ) -> list[RejectRow]:
        """Rejects with their records decrypted, the newest first; `state` None is all states.

        `before` is the id that a page before ended with, `like` the id of one whose like are wanted."""
        table = tables.reject
        wanted = [*_is(table, pipeline), *conditions(which)]
        wanted += [table.c.state == state] if state else []
        wanted += [table.c.id < before] if before is not None else []
        wanted += _alike(like) if like is not None else []
        of_run = sa.and_(tables.run.c.pipeline == table.c.pipeline, tables.run.c.run_id == table.c.run_id)
        query = sa.select(table, tables.run.c.mask).outerjoin(tables.run, of_run).where(*wanted)
        return [reject_row(row, self._seal) for row in self._read(query.order_by(table.c.id.desc()).limit(limit))]

    def reject_groups(self, pipeline: str, run_id: str, limit: int = MOST_REASONS) -> list[RejectGroup]:
        """The open rejects of a run by step, operator, field and reason, word for word; the most frequent first."""
        table = tables.reject
        alike = [table.c[name] for name in (*_ALIKE, "reason")]
        count, example = sa.func.count().label("count"), sa.func.min(table.c.id).label("example")
        query = sa.select(*alike, count, example).where(*_is(table, pipeline, run_id), table.c.state == "open")
        query = query.group_by(*alike).order_by(count.desc(), example).limit(limit)
        return [RejectGroup(**row) for row in self._read(query)]

    def audit(self, actor: str, act: str, pipeline: str, detail: str) -> None:
        """Keep what somebody did by hand."""
        texts = {"actor": actor, "act": act, "pipeline": pipeline, "detail": detail}
        row = {"at": _now()} | {name: storable(text) for name, text in texts.items()}
        with self._database.writing() as connection:
            connection.execute(tables.audit.insert(), row)

    def audits(self, pipeline: str | None = None, limit: int = 100) -> list[AuditRow]:
        """What was done by hand, the newest first."""
        columns = [tables.audit.c[column.name] for column in fields(AuditRow)]
        query = sa.select(*columns).where(*_is(tables.audit, pipeline)).order_by(tables.audit.c.id.desc())
        return [AuditRow(**row) for row in self._read(query.limit(limit))]

    def silent_since(self, pipeline: str, after: timedelta) -> datetime | None:
        """Since when no record has come, where that is longer than `after` and nobody was told so for as long; None
        otherwise. `audit` keeps that somebody was, under `arrivals.TOLD`."""
        since, told = quiet_since(self._database, pipeline), told_at(self._database, pipeline)
        now = _now()
        if since is None or now - since < after or (told and told > since and now - told < after):
            return None
        return since

    def _confirm(self, connection: sa.Connection, stream: Stream, version: int, owner: str | None) -> int:
        committed = _provisional(stream, tables.reject.c.version == version, tables.reject.c.owner == owner)
        return connection.execute(tables.reject.update().where(committed).values(state="open")).rowcount

    def _row(self, reject: Reject) -> dict[str, Any]:
        sealed = self._seal.close(reject.record)
        texts = {name: storable(getattr(reject, name)) for name in ("step", "operator", "field", "reason")}
        numbers = {"position": reject.position, "earlier": reject.earlier}
        return texts | numbers | {"record": sealed, "truncated": sealed is None}

    def _read(self, query: sa.Select[Any]) -> list[dict[str, Any]]:
        with self._database.reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def _upsert(self, table: sa.Table, rows: list[dict[str, Any]], change: Mapping[str, Any] | Iterable[str]) -> None:
        """Insert rows; where the key is there, change these columns: to the new row's values, or to those given."""
        insert = self._database.upsert(table)
        new = change if isinstance(change, Mapping) else {name: insert.excluded[name] for name in change}
        if rows:
            with self._database.writing() as connection:
                connection.execute(insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=new), rows)


def located(
    connections: Callable[[str], Connection] | None = None, home: Path | None = None, wait: float = LOCK_WAIT
) -> Database:
    """The database that a store is in, as it is: no table is made. Arguments and errors are those of Store.open."""
    shared = _shared(connections or environment.connection, wait)
    return shared or SQLite(_on_one_machine(home or environment.airflow_home()) / "airflow_datahub.db", wait)


def _on_one_machine(home: Path) -> Path:
    """Each machine would have a ledger and rejects of its own, which nobody else sees."""
    if spreading := environment.spreading_executors():
        store = environment.option("store_connection")
        raise ConfigurationError(
            f"the store would be an SQLite file in {home}, which the tasks of {', '.join(spreading)} on other machines "
            f"do not share: define the connection {store!r} to a PostgreSQL database on every machine (or set "
            f"AIRFLOW_CONN_{(store or '').upper()})"
        )
    return home


def _shared(connections: Callable[[str], Connection], wait: float) -> Database | None:
    """The database behind the store's connection; None where the connection of the default id is not defined."""
    wanted = environment.option("store_connection")
    default = environment.OPTIONS["store_connection"].default
    try:
        return PostgreSQL(connections(wanted or default or ""), wait)
    except UndefinedConnection:
        if wanted and wanted != default:
            raise
        return None


def _is(table: sa.Table, pipeline: str | None = None, run_id: str | None = None) -> list[sa.ColumnElement[bool]]:
    wanted = {"pipeline": pipeline, "run_id": run_id}
    return [table.c[name] == value for name, value in wanted.items() if value is not None]


_RUN = [tables.run.c[column.name] for column in fields(RunRow)]
_ALIKE = ("step", "operator", "field")


def _alike(example: int) -> list[sa.ColumnElement[bool]]:
    table, other = tables.reject, tables.reject.alias()
    same = {name: sa.select(other.c[name]).where(other.c.id == example).scalar_subquery() for name in _ALIKE}
    return [table.c[name].is_not_distinct_from(value) for name, value in same.items()]


def _provisional(stream: Stream, *more: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    columns = tables.reject.c
    same_stream = [columns[name] == value for name, value in asdict(stream).items()]
    return sa.and_(*same_stream, columns.state == "provisional", *more)


def _now() -> datetime:
    return datetime.now(UTC)
