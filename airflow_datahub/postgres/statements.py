"""The SQL that moves rows from a stage to the table, by strategy, and says what became of them.

Of rows with one key one stands: for an upsert or update the last, with `newer_by` the newest (null is the oldest, of
equals the last).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from airflow_datahub.postgres.connecting import Session
from airflow_datahub.postgres.declared import OURS, Target
from airflow_datahub.postgres.rows import Slot
from airflow_datahub.postgres.tables import Layout, identifiers

ORDINAL = f"{OURS}ordinal"
"""The column of a stage that holds a row's index in its batch."""

_INSERT = "insert into {table} as t ({columns}) select {columns} from {stage} as s where true"
_PLAIN = (_INSERT, "{order}{on_conflict}")
_BY_XMAX = (
    f"with written as ({_INSERT}",
    "{order}{on_conflict} returning (xmax = 0) as fresh)"
    " select count(*) filter (where fresh), count(*) filter (where not fresh), 0, '{{}}'::int[] from written",
)
_BY_KEY = (  # a partitioned table does not give `xmax` back
    "with known as (select count(*) as old from {stage} as s join {table} as t on {same} where {newer}",
    f"), written as ({_INSERT}",
    "{order}{on_conflict} returning 1) select (select count(*) from written) - old, old, 0, '{{}}'::int[] from known",
)
_ABSENT = "select s.{ordinal} from {stage} as s where not exists (select from {table} as t where {same})"
_UPDATE = (
    "with written as (update {table} as t set {sets} from {stage} as s where {same} and {newer}",
    f" returning 1), absent as ({_ABSENT}",
    ") select 0, (select count(*) from written), 0, array(table absent)",
)
_LOOK_UP = (f"with absent as ({_ABSENT}", ") select 0, 0, 0, array(table absent)")
_DELETE = (
    "with gone as (delete from {table} as t using {stage} as s where {same}",
    " returning 1) select 0, 0, count(*), '{{}}'::int[] from gone",
)
_FOLD = """
with ranked as (
  select {ordinal} as line, first_value({ordinal}) over same as stands, row_number() over same as rank from {stage}
  window same as (partition by {key} order by {newest} {ordinal} desc)
), folded as (
  delete from {stage} as s using ranked where s.{ordinal} = line and rank > 1 returning stands, rank, line
) select stands, array_agg(line order by rank) from folded group by stands"""


@dataclass(frozen=True, slots=True)
class Move:
    """A statement from a stage to the table."""

    parts: tuple[str, ...]
    counted: bool
    """It gives back how many rows were inserted, updated and deleted, and the ordinals of those whose key the table
    does not have; else the count of rows is what was inserted."""
    folds: bool
    """Rows of one key must be folded before it: which of them it would take is left to chance."""

    def only(self, first: int, last: int) -> str:
        """The statement for the rows with these ordinals, both included."""
        return f" and {ORDINAL} between {first} and {last}".join(self.parts)

    def all(self) -> str:
        """The statement for every row of the stage."""
        return "".join(self.parts)


def move(session: Session, layout: Layout, target: Target, slots: Sequence[Slot], stage: sql.Composable) -> Move:
    """The statement that moves the columns of `slots` from `stage`, an identifier, to the table."""
    names = [slot.name for slot in slots]
    others = [name for name in names if name not in layout.key]
    parts = {
        "table": layout.name, "stage": stage, "columns": identifiers(names), "ordinal": sql.Identifier(ORDINAL),
        "same": _same(layout.key), "newer": _newer(target.newer_by, "s"), "sets": _sets(others, "s"),
        "on_conflict": _on_conflict(layout, target, others), "order": _order(layout.key),
    }  # fmt: skip
    form = _form(layout, target, others)
    texts = tuple(sql.SQL(text).format(**parts).as_string(session) for text in form)
    return Move(texts, counted=form is not _PLAIN, folds=target.newer_by is not None or form is _UPDATE)


def fold(session: Session, layout: Layout, target: Target, stage: sql.Composable) -> str:
    """Leave one row a key, as PostgreSQL compares them; gives what stands and what is folded into it, by ordinals."""
    newest = sql.SQL("{} desc nulls last,").format(sql.Identifier(target.newer_by)) if target.newer_by else sql.SQL("")
    parts = {"stage": stage, "key": identifiers(layout.key), "newest": newest, "ordinal": sql.Identifier(ORDINAL)}
    return sql.SQL(_FOLD).format(**parts).as_string(session)


def _form(layout: Layout, target: Target, others: Sequence[str]) -> tuple[str, ...]:
    match target.writing:
        case "insert" | "append":
            return _PLAIN
        case "update":
            return _UPDATE if others else _LOOK_UP
        case "delete":
            return _DELETE
    return _BY_KEY if layout.partitioned else _BY_XMAX


def _order(key: Sequence[str]) -> sql.Composable:
    """By key, so that two who write the same keys at the same time wait for each other in one order alone; of equal
    keys the first comes first."""
    if not key:
        return sql.SQL("")
    columns = [sql.SQL("s.{}").format(sql.Identifier(name)) for name in (*key, ORDINAL)]
    return sql.SQL(" order by {}").format(sql.SQL(", ").join(columns))


def _on_conflict(layout: Layout, target: Target, others: Sequence[str]) -> sql.Composed:
    if not layout.key:
        return sql.Composed([])
    key = identifiers(layout.key)
    if target.writing == "insert" or not others:
        return sql.SQL(" on conflict ({}) do nothing").format(key)
    newer = _newer(target.newer_by, "excluded")
    return sql.SQL(" on conflict ({}) do update set {} where {}").format(key, _sets(others, "excluded"), newer)


def _sets(names: Sequence[str], row: str) -> sql.Composed:
    return sql.SQL(", ").join(sql.SQL("{0} = {1}.{0}").format(sql.Identifier(name), sql.SQL(row)) for name in names)


def _same(key: Sequence[str]) -> sql.Composed:
    return sql.SQL(" and ").join(sql.SQL("s.{0} = t.{0}").format(sql.Identifier(name)) for name in key)


def _newer(column: str | None, row: str) -> sql.Composable:
    """Whether a row may overwrite the one that is there."""
    if column is None:
        return sql.SQL("true")
    return sql.SQL("(t.{0} is null or {1}.{0} >= t.{0})").format(sql.Identifier(column), sql.SQL(row))
