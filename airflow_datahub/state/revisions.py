"""The texts of specs, by the hash of what they define."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from airflow_datahub.state.database import Database
from airflow_datahub.state.rows import RevisionRow, RevisionState, Use
from airflow_datahub.state.tables import revision as table
from airflow_datahub.state.tables import run

CHANGES = ("text", "author", "note", "made_from", "created_at")
"""What another draft of the same definition replaces."""


class Revisions:
    """The revisions in a store. Each method is one transaction and raises what those of Store do."""

    def __init__(self, database: Database):
        self._database = database

    def keep(self, pipeline: str, revision: str, text: str) -> None:
        """Keep a text that is deployed; where that revision is kept already, it stays as it is."""
        with self._database.writing() as connection:
            self.keep_in(connection, pipeline, revision, text)

    def keep_in(self, connection: sa.Connection, pipeline: str, revision: str, text: str) -> None:
        """The same within a writing transaction of this database."""
        row = RevisionRow(pipeline, revision, "deployed", text, created_at=datetime.now(UTC))
        connection.execute(self._database.upsert(table).on_conflict_do_nothing(), asdict(row))

    def put(self, row: RevisionRow, changes: Iterable[str] = CHANGES) -> None:
        """Keep a revision or draft; where one of the same hash and state is kept already, only these columns change."""
        with self._database.writing() as connection:
            self.put_in(connection, row, changes)

    def put_in(self, connection: sa.Connection, row: RevisionRow, changes: Iterable[str] = CHANGES) -> None:
        """The same within a writing transaction of this database."""
        insert = self._database.upsert(table)
        new = {name: insert.excluded[name] for name in changes}
        upsert = insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=new)
        connection.execute(upsert, asdict(row))

    @contextmanager
    def alone(self) -> Iterator[sa.Connection]:
        """A writing transaction in which one process is at a time, on whatever machine: to publish."""
        with self._database.alone() as connection:
            yield connection

    def get(self, pipeline: str, revision: str, state: RevisionState = "deployed") -> RevisionRow | None:
        """The revision of exactly that hash."""
        found = self._read(table.c.pipeline == pipeline, table.c.revision == revision, table.c.state == state)
        return found[0] if found else None

    def all(self, pipeline: str) -> list[RevisionRow]:
        """All revisions and drafts of a pipeline, the newest first."""
        return self._read(table.c.pipeline == pipeline)

    def pipelines(self) -> list[str]:
        """The ids of all pipelines that have any, sorted."""
        query = sa.select(table.c.pipeline).distinct().order_by(table.c.pipeline)
        with self._database.reading() as connection:
            return list(connection.execute(query).scalars())

    def uses(self, pipeline: str) -> dict[str, Use]:
        """What the ledger knows of a pipeline's revisions, by their hashes."""
        of_one = (
            sa.select(
                run.c.revision, sa.func.count().label("runs"),
                sa.func.min(run.c.started_at).label("first"), sa.func.max(run.c.started_at).label("last"),
            )
            .where(run.c.pipeline == pipeline).group_by(run.c.revision).subquery()
        )  # fmt: skip
        same = sa.and_(run.c.revision == of_one.c.revision, run.c.started_at == of_one.c.first)
        query = sa.select(of_one, run.c.run_id).join(run, same).where(run.c.pipeline == pipeline)
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return {row["revision"]: Use(row["run_id"], row["first"], row["last"], row["runs"]) for row in rows}

    def drop_draft(self, pipeline: str, revision: str) -> bool:
        """Forget a draft; whether it was there."""
        with self._database.writing() as connection:
            return self.drop_draft_in(connection, pipeline, revision)

    def drop_draft_in(self, connection: sa.Connection, pipeline: str, revision: str) -> bool:
        """The same within a writing transaction of this database."""
        same = (table.c.pipeline == pipeline, table.c.revision == revision, table.c.state == "draft")
        return bool(connection.execute(table.delete().where(*same)).rowcount)

    def _read(self, *wanted: sa.ColumnElement[bool]) -> list[RevisionRow]:
        columns = [table.c[column.name] for column in fields(RevisionRow)]
        query: sa.Select[Any] = sa.select(*columns).where(*wanted).order_by(table.c.created_at.desc())
        with self._database.reading() as connection:
            return [RevisionRow(**row) for row in connection.execute(query).mappings()]
