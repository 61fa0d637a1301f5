"""`_datahub_inbox`: names of what must not be applied twice, written in the transaction that carries its rows."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from airflow_datahub.contract import Batch, Refusal, Written
from airflow_datahub.postgres.checkpoints import CREATION_LOCK
from airflow_datahub.postgres.connecting import Session

TABLE = "_datahub_inbox"

_CREATE = "create table if not exists {} (id text primary key, at timestamptz not null default now())"
_TAKE = "insert into {} (id) select distinct unnest(%s::text[]) on conflict do nothing returning id"


def ensure(session: Session, schema: str) -> None:
    """Create the table unless it is there; safe beside others who do the same."""
    with session.transaction():
        session.execute("select pg_advisory_xact_lock(%s)", [CREATION_LOCK])
        session.execute(sql.SQL(_CREATE).format(sql.Identifier(schema, TABLE)))


def new_ones(session: Session, schema: str, ids: Sequence[str]) -> list[int]:
    """The indices of the names that were not there; they are there once the transaction under way has ended."""
    taken = session.execute(sql.SQL(_TAKE).format(sql.Identifier(schema, TABLE)), [list(ids)])
    new = {name for (name,) in taken.fetchall()}
    return [index for index, name in enumerate(ids) if name in new]


def chosen(batch: Batch, indices: Sequence[int]) -> Batch:
    """The batch with these records alone, nameless."""
    origins = None if batch.origins is None else [batch.origins[index] for index in indices]
    return Batch([batch.records[index] for index in indices], None, origins, batch.size)


def of_all(written: Written, indices: Sequence[int], count: int) -> Written:
    """What became of a batch of `count` records, of which only these were new; the others had been applied before."""
    written.refused = [Refusal(indices[each.index], each.reason, each.field) for each in written.refused]
    written.filtered += count - len(indices)
    return written
