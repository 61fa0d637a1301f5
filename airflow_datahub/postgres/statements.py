"""The SQL that moves rows from a stage to the table, by strategy, and says what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from airflow_datahub.postgres.connecting import Session
from airflow_datahub.postgres.declared import OURS, Strategy
from airflow_datahub.postgres.rows import Slot
from airflow_datahub.postgres.tables import Layout, identifiers

ORDINAL = f"{OURS}ordinal"
"""The column of a stage that holds a row's index in its batch."""

_INSERT = "insert into {table} ({columns}) select {columns} from {stage} where true"
_PLAIN = (_INSERT, "{on_conflict}")
_BY_XMAX = (
    f"with written as ({_INSERT}",
    "{on_conflict} returning (xmax = 0) as fresh)"
    " select count(*) filter (where fresh), count(*) filter (where not fresh) from written",
)
_BY_KEY = (  # a partitioned table does not give `xmax` back
    "with known as (select count(*) as old from {stage} join {table} using ({key}) where true",
    f"), written as ({_INSERT}",
    "{on_conflict} returning 1) select (select count(*) from written) - old, old from known",
)
"""From stage to target; the upserts tell new rows from old."""


@dataclass(frozen=True, slots=True)
class Move:
    """A statement from a stage to the table."""

    parts: tuple[str, ...]
    counted: bool
    """It gives back how many rows were inserted and how many updated; else the count of rows is what was inserted."""

    def only(self, first: int, last: int) -> str:
        """The statement for the rows with these ordinals, both included."""
        return f" and {ORDINAL} between {first} and {last}".join(self.parts)

    def all(self) -> str:
        """The statement for every row of the stage."""
        return "".join(self.parts)


def move(
    session: Session, layout: Layout, strategy: Strategy, slots: Sequence[Slot], stage: sql.Composable
) -> Move:  # fmt: skip
    """The statement that moves the columns of `slots` from `stage`, an identifier, to the table."""
    names = [slot.name for slot in slots]
    parts = {
        "table": layout.name, "columns": identifiers(names), "stage": stage, "key": identifiers(layout.key),
        "on_conflict": _on_conflict(layout, strategy, names),
    }  # fmt: skip
    form = _PLAIN if strategy != "upsert" else _BY_KEY if layout.partitioned else _BY_XMAX
    return Move(tuple(sql.SQL(text).format(**parts).as_string(session) for text in form), counted=form is not _PLAIN)


def fold(session: Session, layout: Layout, stage: sql.Composable) -> str:
    """Of the stage's rows with one key for PostgreSQL, delete all but the last."""
    same = sql.SQL(" and ").join(sql.SQL("a.{0} = b.{0}").format(sql.Identifier(name)) for name in layout.key)
    text = sql.SQL("delete from {0} a using {0} b where {1} and a.{2} < b.{2}")
    return text.format(stage, same, sql.Identifier(ORDINAL)).as_string(session)


def _on_conflict(layout: Layout, strategy: Strategy, names: Sequence[str]) -> sql.Composed:
    if strategy == "append":
        return sql.Composed([])
    others = [name for name in names if name not in layout.key]
    key = identifiers(layout.key)
    if strategy == "insert" or not others:
        return sql.SQL(" on conflict ({}) do nothing").format(key)
    sets = sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in others)
    return sql.SQL(" on conflict ({}) do update set {}").format(key, sets)
