"""Find each record's row in a PostgreSQL table, for a whole batch at once, and write columns of it.

A key of which there are several rows rejects its record. What was found holds for the whole run.

Example:
    sql_lookup: {connection: warehouse, table: customers, match: {customer: id}, select: {name: customer_name}}

Answers:
    - {request: {id: 42}, answer: {name: Ann}}

Given:
    - {order: 1, customer: 42}
    - {order: 2, customer: 43}

Gives:
    - {order: 1, customer: 42, customer_name: Ann}
    - {order: 2, customer: 43}
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, LiteralString

from pydantic import Field

from airflow_datahub.contract import BatchFunction, Record, Run
from airflow_datahub.errors import ConfigurationError, RejectRecord, RunFailed
from airflow_datahub.row_lookup import Row, RowLookup, as_json
from airflow_datahub.texts import as_text

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql

_TOGETHER = 1_000
"""Keys of a query."""
_KEPT = 100_000
"""Rows that are remembered."""
_EXACT = 2**53
"""Below it a float holds each whole number."""


Key = tuple[str, ...]
Found = dict[Key, Row | RejectRecord | None]


class SqlLookup(RowLookup):
    connection: str
    """Airflow connection of type postgres."""

    table: Annotated[str, Field(pattern=r"^[^.]+(\.[^.]+)?$")]
    """The table or view: `name` or `schema.name`."""

    def compile_batch(self, run: Run) -> BatchFunction:
        return _Looking(self, run).serve


class _Looking:
    """One operator in one run, with its session and what it has found so far."""

    def __init__(self, operator: SqlLookup, run: Run):
        self._operator, self._run = operator, run
        self._read, self._write = operator.key_reader(), operator.writer()
        self._found: Found = {}
        self._session: psycopg.Connection[tuple[Any, ...]] | None = None
        self._kinds: list[LiteralString] | None = None
        self._twice = RejectRecord(f"{', '.join(operator.match)}: several rows have these values")

    def serve(self, records: Sequence[Record]) -> list[Record | RejectRecord | None]:
        """One result a record."""
        keys = [self._key(record) for record in records]
        self._find({self._texts(key): key for key in keys if isinstance(key, tuple)})
        return [self._served(record, key) for record, key in zip(records, keys, strict=True)]

    def _key(self, record: Record) -> tuple[Any, ...] | RejectRecord | None:
        try:
            key = self._read(record)
            _ = key and self._texts(key)
        except RejectRecord as error:
            return error
        return key

    def _texts(self, key: tuple[Any, ...]) -> Key:
        """As the server reads values of any type; 1.0 is the whole number that it is."""
        return tuple(as_text(name, _whole(value)) for name, value in zip(self._operator.match, key, strict=True))

    def _served(self, record: Record, key: tuple[Any, ...] | RejectRecord | None) -> Record | RejectRecord | None:
        if key is None or isinstance(key, RejectRecord):
            return record if key is None else key
        row = self._found[self._texts(key)]
        try:
            return row if isinstance(row, RejectRecord) else self._write(record, row)
        except RejectRecord as error:
            return error

    def _find(self, keys: dict[Key, tuple[Any, ...]]) -> None:
        if len(self._found) > _KEPT:
            self._found.clear()
        wanted = [key for key in keys if key not in self._found]
        if self._run.answers:
            columns = list(self._operator.match.values())
            self._found |= {key: self._run.answers(dict(zip(columns, keys[key], strict=True))) for key in wanted}
            return
        for start in range(0, len(wanted), _TOGETHER):
            self._found |= self._queried(wanted[start : start + _TOGETHER])

    def _queried(self, keys: list[Key]) -> Found:
        """The row of each key; a value that its column cannot hold rejects its records alone."""
        import psycopg

        try:
            rows = self._connected().execute(self._query(), list(map(list, zip(*keys, strict=True)))).fetchall()
        except (psycopg.DataError, UnicodeEncodeError) as error:
            if len(keys) == 1:
                return {keys[0]: RejectRecord(f"{', '.join(self._operator.match)}: {_first_line(error)}")}
            half = len(keys) // 2
            return self._queried(keys[:half]) | self._queried(keys[half:])
        except psycopg.Error as error:
            raise self._failure(error) from error
        found: Found = dict.fromkeys(keys)
        for number, *values in rows:
            key, row = keys[number - 1], dict(zip(self._operator.columns, map(as_json, values), strict=True))
            found[key] = self._twice if found[key] is not None else row
        return found

    def _query(self) -> sql.Composed:
        """All keys, one array a column, joined with the table: one row for each row that has a key's values."""
        from psycopg import sql

        operator, columns = self._operator, list(self._operator.match.values())
        names = [sql.Identifier(f"k{number}") for number in range(len(columns))]
        same = [
            sql.SQL("t.{} = k.{}::{}").format(sql.Identifier(column), name, sql.SQL(kind))  # as the server names it
            for column, name, kind in zip(columns, names, self._types(), strict=True)
        ]
        return sql.SQL(
            "select k.n, {select} from unnest({arrays}) with ordinality k({names}, n) join {table} t on {same}"
        ).format(
            select=sql.SQL(", ").join(sql.Identifier("t", name) for name in operator.columns),
            arrays=sql.SQL(", ").join([sql.SQL("%s::text[]")] * len(columns)),
            names=sql.SQL(", ").join(names), table=self._table, same=sql.SQL(" and ").join(same),
        )  # fmt: skip

    @property
    def _table(self) -> sql.Identifier:
        from psycopg import sql

        return sql.Identifier(*self._operator.table.split("."))

    def _types(self) -> list[LiteralString]:
        """The types of the columns of `match`, as the server names them."""
        if self._kinds is None:
            operator, session = self._operator, self._connected()
            there = dict(session.execute(_TYPES, [self._table.as_string(session)]).fetchall())
            absent = [name for name in (*operator.match.values(), *operator.columns) if name not in there]
            if absent:
                has = ", ".join(list(there)[:20])
                raise ConfigurationError(f"table {operator.table!r} has no column {absent[0]!r}; it has {has}")
            self._kinds = [there[name] for name in operator.match.values()]
        return self._kinds

    def _connected(self) -> psycopg.Connection[tuple[Any, ...]]:
        from airflow_datahub.postgres.connecting import connect

        if self._session is None:
            self._session = connect(self._run.connections(self._operator.connection))
            self._run.closing.callback(self._session.close)
            self._session.execute("set default_transaction_read_only = on")
        return self._session

    def _failure(self, error: Exception) -> Exception:
        import psycopg

        text = f"looking up in {self._operator.table!r}: {_first_line(error)}"
        return ConfigurationError(text) if isinstance(error, psycopg.ProgrammingError) else RunFailed(text)


_TYPES = """select a.attname, format_type(a.atttypid, null) from pg_attribute a
where a.attrelid = %s::regclass and a.attnum > 0 and not a.attisdropped"""


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:300]


def _whole(value: Any) -> Any:
    exact = isinstance(value, float | Decimal) and -_EXACT < value < _EXACT
    return int(value) if exact and value == int(value) else value
