"""Small adapters for the tests of specs, named there by import path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from airflow_datahub.contract import Batch, Cursor, Function, Run, Sink, Source, Stream, Templated, Transform, Writer


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ByCursor(Strict):
    type: Literal["cursor"]
    cursor: str
    """Where the next cursor stands."""
    param: str = "cursor"


class ByPage(Strict):
    type: Literal["page"]
    param: str


class Paged(Source):
    """A source with the fields that real ones have."""

    path: Templated[str]
    """What is read."""
    query: Templated[dict[str, Any]] = Field(default={})
    """Asked with it."""
    paging: Annotated[ByCursor | ByPage, Field(discriminator="type")] | None = None
    """How pages follow one another."""
    records: str = ""
    token: SecretStr | None = None
    limit: int = Field(default=10, ge=1, le=100)

    def read(self, run: Run, cursor: Cursor | None) -> Iterator[Batch]:
        yield Batch([])

    def notes(self) -> list[str]:
        return ["pages may shift while they are read"]


class Column(Strict):
    type: str
    origin: str | None = Field(default=None, alias="from")


class Table(Sink):
    """A sink with the fields that real ones have."""

    table: str
    """Where the rows go."""
    strategy: Literal["insert", "upsert"] = "insert"
    columns: dict[str, str | Column] = Field(default={})

    def open(self, run: Run, stream: Stream) -> Writer:
        raise AssertionError("never opened here")


class Move(Transform):
    """An operator with an alias."""

    origin: str = Field(alias="from")
    """The field that is moved."""
    to: str

    def compile(self, run: Run) -> Function:
        return lambda record: record


class Broken(Transform):
    """Its validator raises what validators must not."""

    field: str = ""

    @field_validator("field")
    @classmethod
    def _fail(cls, value: str) -> str:
        raise RuntimeError("a bug of somebody")

    def compile(self, run: Run) -> Function:
        return lambda record: record
