"""The texts of specs, by the hash of what they define."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from airflow_datahub.state.database import Database
from airflow_datahub.state.rows import RevisionRow, RevisionState
from airflow_datahub.state.tables import revision as table


class Revisions:
    """The revisions in a store. Each method is one transaction and raises what those of Store do."""

    def __init__(self, database: Database):
        self._database = database

    def keep(
        self,
        pipeline: str,
        revision: str,
        text: str,
        state: RevisionState = "deployed",
        *,
        author: str = "",
        note: str = "",
        made_from: str | None = None,
    ) -> None:
        """Keep a text; where that revision is kept already in that state, it stays as it is."""
        with self._database.writing() as connection:
            self.keep_in(connection, pipeline, revision, text, state, author=author, note=note, made_from=made_from)

    def keep_in(
        self, connection: sa.Connection, pipeline: str, revision: str, text: str, state: RevisionState = "deployed",
        **more: str | None,
    ) -> None:  # fmt: skip
        """The same within a writing transaction of this database."""
        row = {
            "pipeline": pipeline,
            "revision": revision,
            "state": state,
            "text": text,
            "created_at": datetime.now(UTC),
        }
        row |= {"author": "", "note": "", "made_from": None, **more}
        connection.execute(self._database.upsert(table).on_conflict_do_nothing(), row)

    def get(self, pipeline: str, revision: str, state: RevisionState = "deployed") -> RevisionRow | None:
        """The revision of exactly that hash."""
        found = self._read(table.c.pipeline == pipeline, table.c.revision == revision, table.c.state == state)
        return found[0] if found else None

    def all(self, pipeline: str) -> list[RevisionRow]:
        """All revisions and drafts of a pipeline, the newest first."""
        return self._read(table.c.pipeline == pipeline)

    def drop_draft(self, pipeline: str, revision: str) -> None:
        """Forget a draft, if it is there."""
        same = (table.c.pipeline == pipeline, table.c.revision == revision, table.c.state == "draft")
        with self._database.writing() as connection:
            connection.execute(table.delete().where(*same))

    def _read(self, *wanted: sa.ColumnElement[bool]) -> list[RevisionRow]:
        columns = [table.c[column.name] for column in fields(RevisionRow)]
        query: sa.Select[Any] = sa.select(*columns).where(*wanted).order_by(table.c.created_at.desc())
        with self._database.reading() as connection:
            return [RevisionRow(**row) for row in connection.execute(query).mappings()]
