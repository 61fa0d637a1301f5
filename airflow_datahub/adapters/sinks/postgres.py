"""Write records into a table of PostgreSQL, each batch in one transaction with the stream's checkpoint.

A missing table is created. A record that PostgreSQL refuses becomes a reject, its batch goes on.

Example:
    adapter: postgres
    config:
      connection: warehouse
      table: public.ingested_events
      key: [id]
      strategy: insert
      columns:
        timestamp: timestamptz
        data: {type: jsonb, null: false, from: $}
        ingested_at: {type: timestamptz, default: now()}
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from airflow_datahub.contract import (
    Batch,
    Checkpoints,
    Connection,
    Place,
    Run,
    Silence,
    Simulated,
    Sink,
    Stream,
    Writer,
)
from airflow_datahub.postgres import declared


def _table(text: str) -> str:
    declared.split_table(text)
    return text


def _path(text: str) -> str:
    declared.split_path(text)
    return text


Name = Annotated[str, AfterValidator(declared.checked_name)]


class Column(BaseModel):
    """A column in its long form."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, populate_by_name=True)

    type: Annotated[str, AfterValidator(declared.canonical)] | None = None
    """Its type: text, varchar(n), char(n), smallint, integer, bigint, numeric(p,s), real, double precision, boolean,
    date, time, timestamp, timestamptz, interval, uuid, jsonb, json, bytea, inet, or an array of one, `text[]`."""

    null: bool = True
    """Whether it may be null; a table that is there already must agree."""

    default: Annotated[declared.Default, AfterValidator(declared.checked_default)] | None = None
    """What it holds where no record of a batch has the field: a value, `now()`, `current_timestamp` or
    `gen_random_uuid()`. A table that is there already must have a default."""

    from_: Annotated[str, AfterValidator(_path)] | None = Field(default=None, alias="from")
    """Where the record holds the value, if not in the field of the column's name; `$` is the whole record as the source
    gave it, before any operator."""


def _long_form(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


class Postgres(Sink):
    connection: str
    """The Airflow connection of the database."""

    table: Annotated[str, AfterValidator(_table)]
    """Table to write to, with its schema or without: `events` or `public.events`, upper and lower case as written."""

    key: tuple[Name, ...] = ()
    """Columns that identify a row; needed for insert, upsert, update and delete. A record without them is refused."""

    strategy: declared.Strategy = "insert"
    """`insert` writes keys that are not there yet (of a key repeated in a batch the first), `upsert` overwrites (the
    last wins; a row that is as it was counts as updated), `update` overwrites and refuses keys that are not there,
    `delete` deletes the rows of the keys (a key that is not there counts as unchanged; of a record only the key is
    looked at), `append` writes every record and has no key. `replace` makes what one run brings the whole content of
    the table, in one transaction at the end of the run; of a key, if one is given, the last wins."""

    newer_by: Name | None = None
    """For upsert and update: a column, such as `updated_at`, by which an older record never overwrites a newer row. Of
    equals the last wins, null is the oldest; what is passed over counts as unchanged."""

    columns: dict[Name, Annotated[Column, BeforeValidator(_long_form, json_schema_input_type=str | Column)]] = Field(
        default={}
    )
    """Types by column, or the long form; the others are the table's own, or inferred from the first batch."""

    rest: Name | None = None
    """A jsonb column that takes, as one object, every field without a column. A missing table is then created with the
    key, `columns`, `newer_by` and this one."""

    evolution: declared.Evolution = "freeze"
    """What becomes of a field that no column takes: `freeze` stops and names it, `ignore` leaves it out, `evolve` adds
    a column of the type of the batch's values (a later value of another type is refused with its record),
    `reject` refuses its record."""

    create: bool = True
    """Create the table if it is missing; update and delete never do."""

    max_columns: Annotated[int, Field(ge=1, le=1600)] = 500
    """Columns that a table may get, when it is created or by `evolution: evolve`; PostgreSQL itself takes 1,600."""

    shrink: bool = False
    """For replace: whether a run may leave the table empty, or with less than half of the rows that are there. Without
    it such a run changes nothing and fails."""

    @model_validator(mode="after")
    def _key_fits_strategy(self) -> Postgres:
        if self.strategy == "append" and self.key:
            raise ValueError("key has no meaning with strategy append: take it out, or say insert or upsert")
        if self.strategy not in ("append", "replace") and not self.key:
            raise ValueError(f"key is needed for strategy {self.strategy}; without one say `strategy: append`")
        if len(set(self.key)) != len(self.key):
            raise ValueError(f"key names a column twice: {', '.join(self.key)}")
        if not_null := [name for name in self.key if name in self.columns and self.columns[name].from_ == "$"]:
            raise ValueError(f"key {not_null[0]!r} cannot be the whole record")
        return self

    @model_validator(mode="after")
    def _newer_by_has_a_meaning(self) -> Postgres:
        name = self.newer_by
        if name is None:
            return self
        if self.strategy not in ("upsert", "update"):
            raise ValueError(f"newer_by has no meaning with strategy {self.strategy}: it is for upsert and update")
        if name in self.key:
            raise ValueError(f"newer_by {name!r} is part of the key, so two rows of one key never differ in it")
        column = self.columns.get(name)
        if name == self.rest or (column and (column.from_ == "$" or column.type in ("json", "jsonb"))):
            raise ValueError(f"newer_by {name!r} is JSON, which has no order that would mean newer")
        return self

    @model_validator(mode="after")
    def _rest_has_a_meaning(self) -> Postgres:
        name = self.rest
        if name is None:
            return self
        column = self.columns.get(name, Column())
        if column.type not in (None, "jsonb"):
            raise ValueError(f"rest {name!r} is of type {column.type} in columns, it must be jsonb")
        if column.from_ is not None:
            raise ValueError(f"rest {name!r} takes the fields without a column, so it can have no `from`")
        if not column.null:
            raise ValueError(f"rest {name!r} is null where every field has a column, so it cannot be `null: false`")
        if name in self.key:
            raise ValueError(f"rest {name!r} cannot be part of the key")
        return self

    @model_validator(mode="after")
    def _unknown_fields_have_one_place(self) -> Postgres:
        whole = next((name for name, column in self.columns.items() if column.from_ == "$"), None)
        if self.rest and self.evolution != "freeze":
            raise ValueError(f"evolution {self.evolution} has no meaning with rest, which takes every unknown field")
        if whole and (self.rest or self.evolution != "freeze"):
            other = "rest" if self.rest else f"evolution {self.evolution}"
            raise ValueError(f"{other} has no meaning with column {whole!r}: `from: $` takes every field")
        return self

    @model_validator(mode="after")
    def _says_nothing_that_the_strategy_ignores(self) -> Postgres:
        if self.strategy == "delete":
            if unused := [name for name in ("rest", "evolution") if name in self.model_fields_set]:
                raise ValueError(f"{unused[0]} has no meaning with strategy delete, which looks at the key alone")
            if others := [name for name in self.columns if name not in self.key]:
                raise ValueError(
                    f"column {others[0]!r} has no meaning with strategy delete, which looks at the key alone"
                )
        if self.strategy in ("update", "delete") and self.create and "create" in self.model_fields_set:
            raise ValueError(f"create has no meaning with strategy {self.strategy}, which needs rows to work on")
        makes_columns = self.evolution == "evolve" or (self.create and self.strategy not in ("update", "delete"))
        if "max_columns" in self.model_fields_set and not makes_columns:
            raise ValueError(
                f"max_columns has no meaning with strategy {self.strategy}, evolution {self.evolution} and create "
                f"{str(self.create).lower()}: nothing here makes columns"
            )
        if self.shrink and self.strategy != "replace":
            raise ValueError(f"shrink has no meaning with strategy {self.strategy}: it is for replace")
        return self

    def asset(self) -> tuple[str, str]:
        schema, table = declared.split_table(self.table)
        place = "/".join(quote(part, safe="") for part in (self.connection, schema or "public", table))
        return f"{self.connection}/{schema or 'public'}.{table}", f"airflow-datahub://{place}"

    def place(self, connections: Callable[[str], Connection]) -> Place:
        from airflow_datahub.postgres.describing import place

        return place(connections(self.connection), self.table)

    def fields(self, connections: Callable[[str], Connection]) -> list[tuple[str, str]]:
        from airflow_datahub.postgres.describing import fields

        return fields(connections(self.connection), self.table)

    def open(self, run: Run, stream: Stream) -> Writer:
        from airflow_datahub.postgres.writing import TableWriter

        target = self.target()
        if run.trigger == "replay" and self.strategy == "upsert" and self.newer_by is None:
            target = replace(target, strategy="insert")  # nothing tells which is newer: what is there stays
        return TableWriter(target, run, stream)

    def not_replayed(self) -> str | None:
        if self.strategy == "replace":
            return "each run of `strategy: replace` brings everything: run the pipeline again"
        if self.strategy == "delete":
            return "nothing tells whether `strategy: delete` would delete what is newer than a reject"
        if self.strategy == "update" and self.newer_by is None:
            return "without `newer_by` nothing tells whether `strategy: update` would undo what is newer than a reject"
        return None

    def simulate(self, run: Run, stream: Stream, batch: Batch) -> Simulated:
        from airflow_datahub.postgres.writing import TableWriter

        quiet = replace(run, log=Silence())  # of a table that is made and gone again
        writer = TableWriter(self.target(), quiet, replace(stream, scope="preview"), trial=True)
        try:
            simulated = writer.simulate(batch)
        finally:
            writer.close()
        at_end = ["at the end of a run its rows become the whole content of the table"] if self.replaces() else []
        return replace(simulated, notes=[*simulated.notes, *at_end])

    def checkpoints(self, run: Run) -> Checkpoints:
        from airflow_datahub.postgres.by_hand import TableCheckpoints

        return TableCheckpoints(self.target(), run)

    def replaces(self) -> bool:
        return self.strategy == "replace"

    def target(self) -> declared.Target:
        """What the client is told."""
        schema, table = declared.split_table(self.table)
        columns = [
            declared.Column(
                name,
                (name,) if column.from_ is None else declared.split_path(column.from_),
                "jsonb" if name == self.rest else column.type,
                column.null,
                column.default,
            )
            for name, column in self.columns.items()
        ]
        if self.rest and self.rest not in self.columns:
            columns.append(declared.Column(self.rest, (self.rest,), "jsonb"))
        return declared.Target(
            connection=self.connection, schema=schema, table=table, key=self.key, strategy=self.strategy,
            columns=tuple(columns), create=self.create and self.strategy not in ("update", "delete"),
            newer_by=self.newer_by, rest=self.rest, evolution=self.evolution,
            max_columns=self.max_columns, shrink=self.shrink,
        )  # fmt: skip
