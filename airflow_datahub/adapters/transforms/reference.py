"""Find each record's row in a table that is read once, at the start of the run: a file, or a table of PostgreSQL.

Values are compared as text: the number 1 finds the 1 of a CSV file. Two rows of the same values end the run.

Example:
    reference: {rows: [{code: DE, name: Germany}], match: {country: code}, select: {name: country_name}}

Given:
    - {country: DE}

Gives:
    - {country: DE, country_name: Germany}
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from airflow_datahub.conditions.values import Constant
from airflow_datahub.contract import Function, Record, Run
from airflow_datahub.conversion import mistake
from airflow_datahub.errors import ConfigurationError, RejectRecord
from airflow_datahub.row_lookup import Row, RowLookup, as_json
from airflow_datahub.texts import as_text

MOST_ROWS = 1_000_000
LARGEST_FILE = 256 << 20
"""Bytes."""


class Reference(RowLookup):
    rows: Annotated[list[dict[str, Constant]], Field(min_length=1)] | None = None
    """The table itself."""

    file: str | None = None
    """Instead: a file, by its path from the folder of the spec: .csv with a header line, .jsonl, or .json with a list;
    of 256 MiB and 1,000,000 rows at most."""

    connection: str | None = None
    """Instead: Airflow connection of type postgres, with `table`."""

    table: Annotated[str, Field(pattern=r"^[^.]+(\.[^.]+)?$")] | None = None
    """The table or view there: `name` or `schema.name`."""

    @model_validator(mode="after")
    def _one_table(self) -> Reference:
        given = [self.rows is not None, self.file is not None, self.connection is not None and self.table is not None]
        if sum(given) != 1 or (self.connection is None) is not (self.table is None):
            raise mistake("takes `rows`, `file`, or `connection` and `table`")
        if self.file and Path(self.file).suffix not in _READERS:
            raise mistake(f"{self.file!r} must end with one of {', '.join(_READERS)}")
        return self

    def compile(self, run: Run) -> Function:
        found = self._by_key(self._read(run))
        read, write = self.key_reader(), self.writer()

        def refer(record: Record) -> Record | None:
            key = read(record)
            if key is None:
                return record
            return write(record, found.get(tuple(as_text(n, v) for n, v in zip(self.match, key, strict=True))))

        return refer

    def _by_key(self, rows: Iterable[Row]) -> dict[tuple[str, ...], Row]:
        found: dict[tuple[str, ...], Row] = {}
        for number, row in enumerate(rows, 1):
            absent = [name for name in (*self.match.values(), *self.columns) if name not in row]
            if absent:
                raise ConfigurationError(f"row {number} of {self._name} has no {absent[0]!r}")
            key = self._key(row, number)
            if key in found:
                raise ConfigurationError(f"row {number} of {self._name}: {', '.join(key)} is there twice")
            if number > MOST_ROWS:
                raise ConfigurationError(f"{self._name} has more than {MOST_ROWS:,} rows; use sql_lookup")
            found[key] = {name: row[name] for name in self.columns}
        return found

    def _key(self, row: Row, number: int) -> tuple[str, ...]:
        try:
            return tuple(as_text(name, row[name]) for name in self.match.values())
        except RejectRecord as error:
            raise ConfigurationError(f"row {number} of {self._name}: {error.reason}") from error

    @property
    def _name(self) -> str:
        return self.file or self.table or "`rows`"

    def _read(self, run: Run) -> Iterable[Row]:
        if self.rows is not None:
            return self.rows
        if self.file is not None:
            return self._of_file(run.folder / self.file)
        if run.answers:
            answered: Iterable[Row] = run.answers({"table": self.table})
            return answered
        return self._of_table(run)

    def _of_file(self, path: Path) -> Iterator[Row]:
        try:
            if path.stat().st_size > LARGEST_FILE:
                raise ConfigurationError(f"{path} is larger than {LARGEST_FILE >> 20} MiB; use sql_lookup")
            with path.open(encoding="utf-8-sig", newline="") as file:
                yield from _READERS[path.suffix](file)
        except (OSError, ValueError, csv.Error) as error:
            raise ConfigurationError(f"{path} cannot be read: {error}") from error

    def _of_table(self, run: Run) -> Iterator[Row]:
        from psycopg import Error, sql

        from airflow_datahub.postgres.connecting import connect

        columns = list(dict.fromkeys([*self.match.values(), *self.columns]))
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        table = sql.Identifier(*str(self.table).split("."))
        query = sql.SQL("select {} from {} limit {}").format(names, table, MOST_ROWS + 1)
        with connect(run.connections(self.connection or "")) as session:
            try:
                for values in session.execute(query):
                    yield dict(zip(columns, map(as_json, values), strict=True))
            except Error as error:
                raise ConfigurationError(
                    f"table {self.table!r} cannot be read: {str(error).splitlines()[0]}"
                ) from error


def _of_json(file: Any) -> Iterator[Row]:
    rows = json.load(file)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("it holds no list of mappings")
    yield from rows


def _of_lines(file: Any) -> Iterator[Row]:
    for number, line in enumerate(file, 1):
        row = json.loads(line) if line.strip() else {}
        if not isinstance(row, dict):
            raise ValueError(f"line {number} holds no mapping")
        if row:
            yield row


_READERS: dict[str, Callable[[Any], Iterable[Row]]] = {".csv": csv.DictReader, ".json": _of_json, ".jsonl": _of_lines}
