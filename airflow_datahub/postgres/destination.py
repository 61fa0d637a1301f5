"""What the rows of a stream go into: the table, or the shadow that is to replace its rows; made and widened as needed.

Everything here happens in the transaction that the caller has begun, and counts once `keep` is told that it committed.
"""

from __future__ import annotations

from collections.abc import Iterable

import psycopg

from airflow_datahub.contract import Log, Stream
from airflow_datahub.errors import RunFailed, StopRun
from airflow_datahub.postgres import checkpoints, shadow, tables
from airflow_datahub.postgres.connecting import Session
from airflow_datahub.postgres.declared import Column, Target
from airflow_datahub.postgres.failures import of_data, said
from airflow_datahub.postgres.shadow import Shadow
from airflow_datahub.postgres.tables import Layout

NO_ROWS = "the source gave no rows, so there is nothing to make a table from"


class Destination:
    """Of one writer."""

    def __init__(self, target: Target, stream: Stream, log: Log):
        self._target, self._stream, self._log = target, stream, log
        self.layout: Layout | None = None
        """Of the table; planned where the first batch makes it, None before."""
        self._exists = self._replacing = False
        self._added: set[str] = set()

    def find(self, session: Session) -> None:
        """Look the table up. ConfigurationError where it does not fit, or is missing and may not be made."""
        layout = tables.existing(session, self._target)
        if layout is None and not self._target.create:
            raise tables.missing(session, self._target)
        if layout and self._target.strategy == "replace":
            shadow.check(session, layout)
            self._replacing = self._shadow(layout).fits(session)
        self.layout, self._exists = layout, layout is not None

    def name(self) -> str | None:
        """What is written to, if it is there; of a replacing load the shadow."""
        there = self._replacing if self._target.strategy == "replace" else self._exists
        return self.name_of(self.layout) if self.layout and there else None

    def name_of(self, layout: Layout) -> str:
        """What batches of this layout are written to."""
        return _full(self._written(layout))

    def start_over(self) -> None:
        """A shadow that is there is of another run."""
        self._replacing = False

    def takes(self, layout: Layout) -> bool:
        """Whether the table is there, with all columns of a batch."""
        return self._exists and not self._lacking(layout)

    def make(self, session: Session, layout: Layout) -> Layout:
        """Make what a batch of this layout lacks, and give the layout of what it is written to."""
        if layout.missing and not self._exists:
            self._create(session, layout)
        if self._target.strategy == "replace" and not self._replacing:
            self._shadow(layout).make(session)
        if columns := self._lacking(layout):
            for each in {_full(one): one for one in (layout, self._written(layout))}.values():
                tables.add(session, self._target, each, columns)
        return self._written(layout)

    def told(self, layout: Layout) -> list[str]:
        """What `make` would do for a batch of this layout, for a person."""
        if layout.missing and not self._exists:
            return [f"table {_full(layout)} would be created: {_columns(layout.missing)}"]
        lacking = self._lacking(layout)
        return [f"table {_full(layout)} would get columns: {_columns(lacking)}"] if lacking else []

    def keep(self, layout: Layout) -> None:
        """What `make` did for this layout is committed."""
        self._exists, self._replacing = True, self._target.strategy == "replace"
        self._added |= {column.name for column in layout.added}

    def replace(self, session: Session) -> tuple[str | None, str | None]:
        """The shadow's rows become the table's: the table, and why they did not (then the shadow is dropped, so that a
        later try reads the source again). StopRun where the table does not take them."""
        if self.layout is None or not self._exists:
            return None, None if self._target.shrink else NO_ROWS
        found = self._shadow(self.layout)
        if not self._replacing:
            found.make(session)
        refused = found.refused(session)
        if refused:
            found.drop(session)
        else:
            self._swap(session, found)
        return _full(self.layout), refused

    def _swap(self, session: Session, found: Shadow) -> None:
        session.execute("set constraints all immediate")
        try:
            rows = found.swap(session)
        except psycopg.Error as error:
            if not of_data(error):
                raise
            raise StopRun(f"the rows of this run do not fit the table, which stays as it is: {said(error)}") from error
        self._log.info("table_replaced", table=_full(found.layout), rows=rows)

    def _shadow(self, layout: Layout) -> Shadow:
        return Shadow(self._target, layout, self._stream)

    def _written(self, layout: Layout) -> Layout:
        return self._shadow(layout).written if self._target.strategy == "replace" else layout

    def _lacking(self, layout: Layout) -> list[Column]:
        return [column for column in layout.added if column.name not in self._added]

    def _create(self, session: Session, layout: Layout) -> None:
        """Create the table, unless somebody did meanwhile: then it must be what this writer has planned with."""
        session.execute("select pg_advisory_xact_lock(%s)", [checkpoints.CREATION_LOCK])
        found = tables.existing(session, self._target)
        if found is None:
            tables.create(session, layout)
            self._log.info("table_created", table=_full(layout), columns=len(layout.missing))
        elif not set(layout.slots) <= set(found.slots):
            raise RunFailed(f"table {_full(layout)} was created by someone else meanwhile; try again")


def _full(layout: Layout) -> str:
    return f"{layout.schema}.{layout.table}"


def _columns(columns: Iterable[Column]) -> str:
    return ", ".join(f"{column.name} {column.type or 'text'}" for column in columns)
