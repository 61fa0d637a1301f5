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
from airflow_datahub.postgres import statements
from airflow_datahub.postgres.connecting import Session
from airflow_datahub.postgres.declared import OURS, Target
from airflow_datahub.postgres.failures import line_of, of_data, refusal
from airflow_datahub.postgres.rows import Lines, Slot
from airflow_datahub.postgres.statements import ORDINAL, Move
from airflow_datahub.postgres.tables import Layout, identifiers

STAGE = f"{OURS}stage"
TEMPORARY = sql.Identifier(STAGE)

PIECE = 1 << 18
"""Bytes handed to COPY at once."""

SINGLY = 16
"""A range of so few rows that fails goes row by row: where errors are dense, halving only adds tries."""

TRIAL = f"{OURS}trial"
_KEEP = f"release {TRIAL}; savepoint {TRIAL}"
"""What went well stays, whatever comes after."""
_UNDO = f"rollback to {TRIAL}"


class StageLost(Exception):
    """A stage does not hold what was copied into it: its rows must be copied again."""


@dataclass(slots=True)
class Loaded:
    """What became of rows."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    folded: dict[int, list[int]] = field(default_factory=dict)
    """By the row that stands for its key as PostgreSQL compares it: the others, the one to take next first."""
    absent: list[int] = field(default_factory=list)
    """Rows whose key the table does not have, where an update wants it."""
    refused: list[Refusal] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Loader:
    """Loads rows into one table; all of it happens in the caller's transaction."""

    session: Session
    layout: Layout
    target: Target
    check: Callable[[], None]
    """Called between statements; what it raises ends the load."""

    def stage(self) -> None:
        """Create the temporary table, with the target's own types, for the life of the session."""
        self.session.execute(
            sql.SQL("create temp table {} on commit delete rows as {}").format(TEMPORARY, staged(self.layout))
        )

    def empty(self) -> None:
        """Take out of the temporary table what this transaction has loaded from it before."""
        self.session.execute(sql.SQL("truncate {}").format(TEMPORARY))

    def load(self, slots: Sequence[Slot], lines: Lines, *, suspect: bool = False) -> Loaded:
        """Write the rows; the stage is empty before and may be full after. `suspect`: an error is to be expected."""
        loaded = Loaded()
        if not lines:
            return loaded
        move, first = self._statement(slots, TEMPORARY), count(lines)
        if not suspect:
            try:
                with self.session.transaction():
                    copy(self.session, TEMPORARY, slots, lines)
                    self.check()
                    self._move_all(move, TEMPORARY, loaded)
                return loaded
            except psycopg.Error as error:
                if not of_data(error):
                    raise
                loaded, line = Loaded(), line_of(error, STAGE)
                first = first if line is None else _shrunk(first, line)
        self._load_good(slots, move, [line for block in lines for line in block.split(b"\n")[:-1]], loaded, first)
        return loaded

    def move(self, slots: Sequence[Slot], stage: sql.Identifier, rows: int) -> Loaded:
        """Write what another session has copied. StageLost if that is not there; nothing is done after any error."""
        loaded = Loaded()
        with self.session.transaction():
            self._count(stage, rows)
            self.check()
            self._move_all(self._statement(slots, stage), stage, loaded)
        return loaded

    def _count(self, stage: sql.Identifier, rows: int) -> None:
        """In the transaction that reads them; the lock of this query keeps the stage as it is until its end (R2b)."""
        try:
            found = self.session.execute(sql.SQL("select count(*) from {}").format(stage)).fetchone()
        except psycopg.errors.UndefinedTable as error:
            raise StageLost(f"{stage.as_string(None)} is gone") from error
        if found != (rows,):
            raise StageLost(f"{stage.as_string(None)} holds {found and found[0]} of {rows} rows")

    def _load_good(self, slots: Sequence[Slot], move: Move, lines: Sequence[bytes], loaded: Loaded, first: int) -> None:
        self.session.execute(f"savepoint {TRIAL}".encode())
        self._copy_good(slots, lines, loaded, first)
        if move.folds or self.target.writing == "upsert":
            self._fold(TEMPORARY, loaded)
        self._move_good(move, [_ordinal(line) for line in lines], loaded)
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

    def _move_good(self, move: Move, ordinals: Sequence[int], loaded: Loaded) -> None:
        self.session.execute(f"create index {STAGE}_index on {STAGE} ({ORDINAL}); {_KEEP}".encode())
        ranges, first = [ordinals], ""
        while ranges:
            self.check()
            span = ranges.pop()
            try:
                self._move(move, move.only(span[0], span[-1]), loaded, first, _KEEP)
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

    def _statement(self, slots: Sequence[Slot], stage: sql.Identifier) -> Move:
        return statements.move(self.session, self.layout, self.target, slots, stage)

    def _move_all(self, move: Move, stage: sql.Identifier, loaded: Loaded) -> None:
        if move.folds:
            self._fold(stage, loaded)
        self._move(move, move.all(), loaded)

    def _fold(self, stage: sql.Identifier, loaded: Loaded) -> None:
        fold = statements.fold(self.session, self.layout, self.target, stage)
        loaded.folded |= dict(self.session.execute(fold.encode()).fetchall())

    def _move(self, move: Move, statement: str, loaded: Loaded, first: str = "", then: str = "") -> None:
        """Stage to target, and count; all in one round trip."""
        cursor = self.session.execute(f"{first}{statement}; {then}".encode())
        if first:
            cursor.nextset()
        none: tuple[int, int, int, list[int]] = (0, 0, 0, [])
        counts = (cursor.fetchone() or none) if move.counted else (cursor.rowcount, *none[1:])
        loaded.inserted, loaded.updated = loaded.inserted + counts[0], loaded.updated + counts[1]
        loaded.deleted, loaded.absent = loaded.deleted + counts[2], loaded.absent + counts[3]


def staged(layout: Layout) -> sql.Composed:
    """The query whose result is an empty stage: the ordinal, and the columns with the target's own types."""
    names = identifiers(slot.name for slot in layout.slots)
    return sql.SQL("select 0 as {}, {} from {} with no data").format(sql.Identifier(ORDINAL), names, layout.name)


def planned_stage(layout: Layout) -> sql.Composed:
    """The same for a table that this writer makes, and that may not be there yet."""
    columns = [
        sql.SQL("null::{} as {}").format(sql.SQL(c.type or "text"), sql.Identifier(c.name)) for c in layout.missing
    ]
    return sql.SQL("select 0 as {}, {} where false").format(sql.Identifier(ORDINAL), sql.SQL(", ").join(columns))


def copy(session: Session, stage: sql.Identifier, slots: Sequence[Slot], lines: Lines, *, freeze: bool = False) -> None:
    """COPY the rows into a stage; `freeze` where this transaction has truncated it: cheaper to read afterwards."""
    names = identifiers([ORDINAL, *(slot.name for slot in slots)])
    options = sql.SQL(" with (freeze)" if freeze else "")
    statement = sql.SQL("copy {} ({}) from stdin{}").format(stage, names, options)
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
