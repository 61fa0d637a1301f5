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

from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from airflow_datahub.contract import Checkpoints, Run, Sink, Stream, Writer
from airflow_datahub.postgres import declared

LATER = {"strategy": ("update", "delete", "replace"), "evolution": ("ignore", "evolve", "reject")}


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
    """Columns that identify a row; needed for insert and upsert. A record without them is refused."""

    strategy: Literal["insert", "upsert", "append"] = "insert"
    """`insert` writes keys that are not there yet (of a key repeated in a batch the first), `upsert` overwrites (the
    last wins), `append` writes every record and has no key."""

    columns: dict[Name, Annotated[Column, BeforeValidator(_long_form, json_schema_input_type=str | Column)]] = Field(
        default={}
    )
    """Types by column, or the long form; the others are the table's own, or inferred from the first batch."""

    evolution: Literal["freeze"] = "freeze"
    """`freeze` stops at a field that no column takes and names it."""

    create: bool = True
    """Create the table if it is missing."""

    @model_validator(mode="before")
    @classmethod
    def _known_but_not_yet(cls, data: Any) -> Any:
        for name in ("newer_by", "rest"):
            if isinstance(data, dict) and name in data:
                raise ValueError(f"{name} is not yet supported")
        return data

    @field_validator("strategy", "evolution", mode="before")
    @classmethod
    def _value_not_yet(cls, value: Any, info: Any) -> Any:
        if value in LATER[info.field_name]:
            raise ValueError(f"{info.field_name} {value!r} is not yet supported")
        return value

    @model_validator(mode="after")
    def _key_fits_strategy(self) -> Postgres:
        if self.strategy == "append" and self.key:
            raise ValueError("key has no meaning with strategy append: take it out, or say insert or upsert")
        if self.strategy != "append" and not self.key:
            raise ValueError(f"key is needed for strategy {self.strategy}; without one say `strategy: append`")
        if len(set(self.key)) != len(self.key):
            raise ValueError(f"key names a column twice: {', '.join(self.key)}")
        if not_null := [name for name in self.key if name in self.columns and self.columns[name].from_ == "$"]:
            raise ValueError(f"key {not_null[0]!r} cannot be the whole record")
        return self

    def asset(self) -> tuple[str, str]:
        schema, table = declared.split_table(self.table)
        place = "/".join(quote(part, safe="") for part in (self.connection, schema or "public", table))
        return f"{self.connection}/{schema or 'public'}.{table}", f"airflow-datahub://{place}"

    def open(self, run: Run, stream: Stream) -> Writer:
        from airflow_datahub.postgres.writing import TableWriter

        return TableWriter(self.target(), run, stream)

    def checkpoints(self, run: Run) -> Checkpoints:
        from airflow_datahub.postgres.by_hand import TableCheckpoints

        return TableCheckpoints(self.target(), run)

    def target(self) -> declared.Target:
        """What the client is told."""
        schema, table = declared.split_table(self.table)
        columns = tuple(
            declared.Column(
                name,
                (name,) if column.from_ is None else declared.split_path(column.from_),
                column.type,
                column.null,
                column.default,
            )
            for name, column in self.columns.items()
        )
        return declared.Target(self.connection, schema, table, self.key, self.strategy, columns, self.create)
