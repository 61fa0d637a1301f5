"""The shadow of a table that a load replaces: it takes the rows of one run, which at its end become the table's.

The table itself stays and is emptied and filled in one transaction, so that its name, grants, owner, views, triggers,
comments, partitions, publications and foreign keys are what they were, and every reader, whatever its isolation, sees
all of the old rows or all of the new. A table swapped in by its name would lose what hangs on the old one, and show a
repeatable read that began in the middle of the load half of the new rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from psycopg import sql

from airflow_datahub.contract import Stream
from airflow_datahub.errors import ConfigurationError
from airflow_datahub.postgres.connecting import Session
from airflow_datahub.postgres.declared import OURS, Target
from airflow_datahub.postgres.tables import Layout, identifiers

SWAP_WITHIN = "2h"
"""For one statement of it: all rows at once take longer than those of a batch."""

LEAST_SHARE = 0.5
"""Of the rows that are there; R15."""

_COLUMNS = """
select a.attname::text, a.attidentity::text, pg_get_serial_sequence(%(table)s, a.attname) from pg_attribute a
where a.attrelid = %(table)s::regclass and a.attnum > 0 and not a.attisdropped"""
_PARTITIONS = """
select coalesce(pg_get_partition_constraintdef(relid), 'true') from pg_partition_tree(%s::regclass) where isleaf"""
_FOREIGN_KEYS = """
select pg_get_constraintdef(oid) from pg_constraint
where conrelid = %s::regclass and contype = 'f' and confrelid <> conrelid and conparentid = 0
  and has_any_column_privilege(confrelid, 'REFERENCES')"""
_REFERRING = """
select conname::text, conrelid::regclass::text from pg_constraint
where confrelid = %s::regclass and contype = 'f' and conrelid <> confrelid"""
_LEAVE = "delete from {table} as t where not exists (select from {shadow} as s where {same})"
_MERGE = "insert into {table} ({columns}) select {columns} from {shadow} on conflict ({key}) do {update}"


@dataclass(frozen=True, slots=True)
class Shadow:
    """The shadow that a stream fills for a table."""

    target: Target
    layout: Layout
    """Of the table."""
    stream: Stream

    @property
    def table(self) -> str:
        """Its name; one a stream, so that a run which begins finds what one before it left behind."""
        text = "\0".join((self.stream.pipeline, self.stream.stream, self.stream.scope))
        return f"{OURS}new_{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    @property
    def name(self) -> sql.Identifier:
        """To be put into statements."""
        return sql.Identifier(self.layout.schema, self.table)

    @property
    def written(self) -> Layout:
        """The layout that batches are written to."""
        return replace(self.layout, table=self.table, partitioned=False, missing=())

    def fits(self, session: Session) -> bool:
        """Whether it is there, with the columns that the table has."""
        columns = {row[0] for row in self._columns(session, self.name)}
        return bool(columns) and columns >= {slot.name for slot in self.layout.slots}

    def make(self, session: Session) -> None:
        """Make it afresh, with all that may refuse a row; what an earlier run left behind goes."""
        session.execute(sql.SQL("drop table if exists {}").format(self.name))
        session.execute(sql.SQL("create table {} (like {} including all)").format(self.name, self.layout.name))
        for column, identity, sequence in self._columns(session, self.layout.name):
            if identity == "d":  # the numbers go into the table, so they come from its own sequence
                text = "alter table {0} alter {1} drop identity, alter {1} set default nextval({2})"
                session.execute(sql.SQL(text).format(self.name, sql.Identifier(column), sql.Literal(sequence)))
        for constraint in (*self._of_partitions(session), *self._foreign_keys(session)):
            session.execute(sql.SQL("alter table {} add {}").format(self.name, constraint))

    def drop(self, session: Session) -> None:
        """Drop it, if it is there."""
        session.execute(sql.SQL("drop table if exists {}").format(self.name))

    def swap(self, session: Session) -> int:
        """Make its rows the table's and drop it; how many they are. All in the caller's transaction."""
        session.execute(sql.SQL("set local statement_timeout = {}").format(sql.Literal(SWAP_WITHIN)))
        session.execute(sql.SQL("lock table {} in share row exclusive mode").format(self.layout.name))
        there = {row[0] for row in self._columns(session, self.name)}
        columns = [slot.name for slot in self.layout.slots if slot.name in there]
        count = self._merge(session, columns) if referring(session, self.layout) else self._refill(session, columns)
        self.drop(session)
        return count

    def refused(self, session: Session) -> str | None:
        """Why its rows may not become the table's (R15); None where they may."""
        new = _count(session, self.name) if self.fits(session) else 0
        if self.target.shrink or (new and new >= LEAST_SHARE * (old := _count(session, self.layout.name))):
            return None
        found = f"{new:,} rows where {old:,} are" if new else "no rows"
        return (
            f"the source gave {found}, so table {self.layout.schema}.{self.layout.table} stays as it is. Look whether "
            f"the source is whole and run again; if so few are right, say `shrink: true` in the load's config"
        )

    def _refill(self, session: Session, columns: Sequence[str]) -> int:
        session.execute(sql.SQL("delete from {}").format(self.layout.name))
        text = sql.SQL("insert into {} ({columns}) select {columns} from {}")
        return session.execute(text.format(self.layout.name, self.name, columns=identifiers(columns))).rowcount

    def _merge(self, session: Session, columns: Sequence[str]) -> int:
        """Key by key, as rows that other tables refer to cannot go, not even for a moment."""
        others = [name for name in columns if name not in self.layout.key]
        sets = sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in others)
        same = [sql.SQL("s.{0} = t.{0}").format(sql.Identifier(name)) for name in self.layout.key]
        parts = {
            "table": self.layout.name, "shadow": self.name, "columns": identifiers(columns),
            "key": identifiers(self.layout.key), "same": sql.SQL(" and ").join(same),
            "update": sql.SQL("update set {}").format(sets) if others else sql.SQL("nothing"),
        }  # fmt: skip
        session.execute(sql.SQL(_LEAVE).format(**parts))
        session.execute(sql.SQL(_MERGE).format(**parts))
        return _count(session, self.layout.name)

    def _of_partitions(self, session: Session) -> list[sql.Composed]:
        """A row that no partition takes is to be refused now and not by the swap."""
        if not self.layout.partitioned:
            return []
        rows = session.execute(_PARTITIONS, [self.layout.name.as_string(session)]).fetchall()
        bounds = [sql.SQL("({})").format(sql.SQL(text)) for (text,) in rows]
        some = sql.SQL(" or ").join(bounds) if bounds else sql.SQL("false")
        return [sql.SQL("constraint some_partition check ({})").format(some)]

    def _foreign_keys(self, session: Session) -> list[sql.SQL]:
        rows = session.execute(_FOREIGN_KEYS, [self.layout.name.as_string(session)]).fetchall()
        return [sql.SQL(text) for (text,) in rows]

    def _columns(self, session: Session, name: sql.Identifier) -> list[tuple[str, str, str | None]]:
        found = session.execute("select to_regclass(%s)", [name.as_string(session)]).fetchone()
        if found == (None,):
            return []
        return session.execute(_COLUMNS, {"table": name.as_string(session)}).fetchall()


def check(session: Session, layout: Layout) -> None:
    """ConfigurationError where a table cannot be replaced."""
    if not (found := referring(session, layout)):
        return
    constraint, table = found
    name = layout.name.as_string(session)
    where = f"table {layout.schema}.{layout.table}: {table} refers to it (constraint {constraint}), so its rows are "
    if not layout.key:
        raise ConfigurationError(f"{where}replaced one by one, for which the load needs a `key`")
    if session.execute("select has_any_column_privilege(%s, 'UPDATE')", [name]).fetchone() != (True,):
        role = session.info.user
        raise ConfigurationError(f'{where}merged: role {role!r} has no right to: GRANT UPDATE ON {name} TO "{role}"')


def referring(session: Session, layout: Layout) -> tuple[str, str] | None:
    """A foreign key of another table that refers to this one, and that table."""
    found = session.execute(_REFERRING, [layout.name.as_string(session)]).fetchone()
    return (found[0], found[1]) if found else None


def _count(session: Session, name: sql.Identifier) -> int:
    row = session.execute(sql.SQL("select count(*) from {}").format(name)).fetchone()
    return int(row[0]) if row else 0
