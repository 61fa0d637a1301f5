"""COPY into a stage and on into the target; a record that PostgreSQL refuses is found and set aside.

All at once first. After an error of data: COPY in runs that shrink to the bad line (the error tells it) and grow
again behind it, then INSERT over halves of the index range, each try under a savepoint. The stage is a temporary table,
or one that another session has filled ahead: then its rows are counted, as a crash of the server empties it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from airflow_datahub.contract import Refusal
from airflow_datahub.postgres.connecting import Session
from airflow_datahub.postgres.declared import OURS, Strategy
from airflow_datahub.postgres.failures import line_of, of_data, refusal
from airflow_datahub.postgres.rows import Lines, Slot
from airflow_datahub.postgres.tables import Layout, identifiers

STAGE = f"{OURS}stage"
TEMPORARY = sql.Identifier(STAGE)
ORDINAL = f"{OURS}ordinal"

PIECE = 1 << 18
"""Bytes handed to COPY at once."""

SINGLY = 16
"""A range of so few rows that fails goes row by row: where errors are dense, halving only adds tries."""

TRIAL = f"{OURS}trial"
_KEEP = f"release {TRIAL}; savepoint {TRIAL}"
"""What went well stays, whatever comes after."""
_UNDO = f"rollback to {TRIAL}"

_INSERT = "insert into {table} ({columns}) select {columns} from {stage}"
_PLAIN = (_INSERT, "{on_conflict}")
_BY_XMAX = (
    f"with written as ({_INSERT}",
    "{on_conflict} returning (xmax = 0) as fresh)"
    " select count(*) filter (where fresh), count(*) filter (where not fresh) from written",
)
_BY_KEY = (  # a partitioned table does not give `xmax` back
    "with known as (select count(*) as old from {stage} join {table} using ({key})",
    f"), written as ({_INSERT}",
    "{on_conflict} returning 1) select (select count(*) from written) - old, old from known",
)
"""From stage to target; the upserts tell new rows from old."""


class StageLost(Exception):
    """A stage does not hold what was copied into it: its rows must be copied again."""


@dataclass(slots=True)
class Loaded:
    """What became of rows."""

    inserted: int = 0
    updated: int = 0
    merged: int = 0
    """Rows whose keys differ in text and are equal for PostgreSQL."""
    refused: list[Refusal] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Insertion:
    """The statement from stage to target."""

    parts: tuple[str, ...]
    """Between them belongs which rows."""
    counted: bool
    """It gives back how many rows were inserted, and how many updated."""


@dataclass(frozen=True, slots=True)
class Loader:
    """Loads rows into one table; all of it happens in the caller's transaction."""

    session: Session
    layout: Layout
    strategy: Strategy
    check: Callable[[], None]
    """Called between statements; what it raises ends the load."""

    def stage(self) -> None:
        """Create the temporary table, with the target's own types, for the life of the session."""
        self.session.execute(
            sql.SQL("create temp table {} on commit delete rows as {}").format(TEMPORARY, staged(self.layout))
        )

    def load(self, slots: Sequence[Slot], lines: Lines, *, suspect: bool = False) -> Loaded:
        """Write the rows; the stage is empty before and may be full after. `suspect`: an error is to be expected."""
        loaded = Loaded()
        if not lines:
            return loaded
        insert, first = self._insertion(slots, TEMPORARY), count(lines)
        if not suspect:
            try:
                with self.session.transaction():
                    copy(self.session, TEMPORARY, slots, lines)
                    self.check()
                    self._insert(insert, "", loaded)
                return loaded
            except psycopg.Error as error:
                if not of_data(error):
                    raise
                line = line_of(error, STAGE)
                first = first if line is None else _shrunk(first, line)
        self._load_good(slots, insert, [line for block in lines for line in block.split(b"\n")[:-1]], loaded, first)
        return loaded

    def move(self, slots: Sequence[Slot], stage: sql.Identifier, rows: int) -> Loaded:
        """Write what another session has copied. StageLost if that is not there; nothing is done after any error."""
        loaded = Loaded()
        with self.session.transaction():
            self._count(stage, rows)
            self.check()
            self._insert(self._insertion(slots, stage), "", loaded)
        return loaded

    def _count(self, stage: sql.Identifier, rows: int) -> None:
        """In the transaction that reads them; the lock of this query keeps the stage as it is until its end (R2b)."""
        try:
            found = self.session.execute(sql.SQL("select count(*) from {}").format(stage)).fetchone()
        except psycopg.errors.UndefinedTable as error:
            raise StageLost(f"{stage.as_string(None)} is gone") from error
        if found != (rows,):
            raise StageLost(f"{stage.as_string(None)} holds {found and found[0]} of {rows} rows")

    def _load_good(
        self, slots: Sequence[Slot], insert: _Insertion, lines: Sequence[bytes], loaded: Loaded, first: int
    ) -> None:
        self.session.execute(f"savepoint {TRIAL}".encode())
        self._copy_good(slots, lines, loaded, first)
        if self.strategy == "upsert":
            loaded.merged += self._fold()
        self._insert_good(insert, [_ordinal(line) for line in lines], loaded)
        self.session.execute(f"truncate {STAGE}; release {TRIAL}".encode())

    def _copy_good(self, slots: Sequence[Slot], lines: Sequence[bytes], loaded: Loaded, size: int) -> None:
        start = 0
        while start < len(lines):
            self.check()
            run = lines[start : start + size]
            try:
                copy(self.session, TEMPORARY, slots, [b"\n".join(run) + b"\n"])
                self.session.execute(_KEEP.encode())
            except psycopg.Error as error:
                if not of_data(error):
                    raise
                self.session.execute(_UNDO.encode())
                if len(run) == 1:
                    loaded.refused.append(refusal(_ordinal(run[0]), error, STAGE))
                    start += 1
                else:
                    size = _shrunk(len(run), line_of(error, STAGE))
            else:
                start, size = start + len(run), size * 2

    def _insert_good(self, insert: _Insertion, ordinals: Sequence[int], loaded: Loaded) -> None:
        self.session.execute(f"create index {STAGE}_index on {STAGE} ({ORDINAL}); {_KEEP}".encode())
        ranges, first = [ordinals], ""
        while ranges:
            self.check()
            span = ranges.pop()
            try:
                self._insert(insert, f" where {ORDINAL} between {span[0]} and {span[-1]}", loaded, first, _KEEP)
                first = ""
            except psycopg.Error as error:
                if not of_data(error):
                    raise
                first = f"{_UNDO}; "
                if len(span) == 1:
                    loaded.refused.append(refusal(span[0], error, STAGE))
                else:
                    size = 1 if len(span) <= SINGLY else (len(span) + 1) // 2
                    ranges += [span[i : i + size] for i in range(0, len(span), size)][::-1]
        self.session.execute(f"{first}drop index pg_temp.{STAGE}_index".encode())

    def _fold(self) -> int:
        """Of rows with one key, leave the last."""
        same = sql.SQL(" and ").join(sql.SQL("a.{0} = b.{0}").format(sql.Identifier(name)) for name in self.layout.key)
        return self.session.execute(
            sql.SQL("delete from {0} a using {0} b where {1} and a.{2} < b.{2}").format(
                sql.Identifier(STAGE), same, sql.Identifier(ORDINAL)
            )
        ).rowcount

    def _insertion(self, slots: Sequence[Slot], stage: sql.Identifier) -> _Insertion:
        names = [slot.name for slot in slots]
        parts = {
            "table": self.layout.name, "columns": identifiers(names), "stage": stage,
            "key": identifiers(self.layout.key), "on_conflict": self._on_conflict(names),
        }  # fmt: skip
        form = _PLAIN if self.strategy != "upsert" else _BY_KEY if self.layout.partitioned else _BY_XMAX
        texts = tuple(sql.SQL(text).format(**parts).as_string(self.session) for text in form)
        return _Insertion(texts, counted=form is not _PLAIN)

    def _insert(self, insert: _Insertion, only: str, loaded: Loaded, first: str = "", then: str = "") -> None:
        """Stage to target for the rows that `only` names, and count; all in one round trip."""
        cursor = self.session.execute(f"{first}{only.join(insert.parts)}; {then}".encode())
        if first:
            cursor.nextset()
        fresh, old = (cursor.fetchone() or (0, 0)) if insert.counted else (cursor.rowcount, 0)
        loaded.inserted, loaded.updated = loaded.inserted + fresh, loaded.updated + old

    def _on_conflict(self, names: Sequence[str]) -> sql.Composed:
        if self.strategy == "append":
            return sql.Composed([])
        others = [name for name in names if name not in self.layout.key]
        key = identifiers(self.layout.key)
        if self.strategy == "insert" or not others:
            return sql.SQL(" on conflict ({}) do nothing").format(key)
        sets = sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in others)
        return sql.SQL(" on conflict ({}) do update set {}").format(key, sets)


def staged(layout: Layout) -> sql.Composed:
    """The query whose result is an empty stage: the ordinal, and the columns with the target's own types."""
    names = identifiers(slot.name for slot in layout.slots)
    return sql.SQL("select 0 as {}, {} from {} with no data").format(sql.Identifier(ORDINAL), names, layout.name)


def copy(session: Session, stage: sql.Identifier, slots: Sequence[Slot], lines: Lines) -> None:
    """COPY the rows into a stage."""
    names = identifiers([ORDINAL, *(slot.name for slot in slots)])
    statement = sql.SQL("copy {} ({}) from stdin").format(stage, names)
    with session.cursor() as cursor, cursor.copy(statement) as stream:
        for block in lines:
            for start in range(0, len(block), PIECE):
                stream.write(block[start : start + PIECE])


def count(lines: Lines) -> int:
    """How many rows; line breaks inside of values are escaped."""
    return sum(block.count(b"\n") for block in lines)


def _ordinal(line: bytes) -> int:
    return int(line.partition(b"\t")[0])


def _shrunk(size: int, line: int | None) -> int:
    """The next run: what is before the bad line, the bad line alone, or half."""
    if line is None or line > size:
        return max(1, size // 2)
    return max(1, line - 1)
