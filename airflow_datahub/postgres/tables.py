"""The table that is written to: found in the catalogue and checked, or planned from the first batch and created."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from itertools import chain
from typing import Any

import msgspec
import psycopg
from psycopg import sql

from airflow_datahub.contract import Record
from airflow_datahub.errors import ConfigurationError, RunFailed
from airflow_datahub.postgres.connecting import Session
from airflow_datahub.postgres.declared import FUNCTIONS, Column, Default, Target, checked_name
from airflow_datahub.postgres.rows import Shape, Slot, values_at

_FIND = """
select c.oid, n.nspname::text, c.relkind::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relname = %(table)s and c.relkind in ('r', 'p', 'v', 'm', 'f')
  and case when %(schema)s::text is null then pg_table_is_visible(c.oid) else n.nspname = %(schema)s end"""
_COLUMNS = """
select a.attname::text, format_type(a.atttypid, a.atttypmod),
  format_type(case t.typtype when 'd' then t.typbasetype else t.oid end, null),
  not a.attnotnull, a.atthasdef, a.attgenerated <> '' or a.attidentity = 'a'
from pg_attribute a join pg_type t on t.oid = a.atttypid
where a.attrelid = %s and a.attnum > 0 and not a.attisdropped order by a.attnum"""
_UNIQUE = """
select array_agg(a.attname::text)
from pg_index i join pg_attribute a
  on a.attrelid = i.indrelid and a.attnum = any((i.indkey::smallint[])[0:i.indnkeyatts - 1])
where i.indrelid = %s and i.indisunique and i.indisvalid and i.indimmediate
  and i.indpred is null and i.indexprs is null
group by i.indexrelid"""
_LACKING = """
select name from unnest(%(rights)s::text[]) name where not case when name in ('DELETE', 'TRUNCATE')
  then has_table_privilege(%(oid)s, name) else has_any_column_privilege(%(oid)s, name) end"""
_SCHEMA = """
select nspname::text, has_schema_privilege(oid, 'USAGE') from pg_namespace
where nspname = coalesce(%(schema)s::text, current_schema())"""
_TABLES = """
select schemaname || '.' || tablename from pg_tables
where schemaname not in ('pg_catalog', 'information_schema') and not starts_with(tablename, '_datahub_')"""
_RIGHTS = {
    "append": ("INSERT",),
    "insert": ("INSERT", "SELECT"),
    "upsert": ("INSERT", "SELECT", "UPDATE"),
    "update": ("SELECT", "UPDATE"),
    "delete": ("SELECT", "DELETE"),
    "replace": ("INSERT", "SELECT", "DELETE"),
}
_OF_SCALARS: dict[frozenset[type], str] = {
    frozenset(): "text",
    frozenset({str}): "text",
    frozenset({bool}): "boolean",
    frozenset({int}): "bigint",
    frozenset({float}): "double precision",
    frozenset({int, float}): "double precision",
    frozenset({Decimal}): "numeric",
    frozenset({int, Decimal}): "numeric",
    frozenset({datetime}): "timestamp with time zone",
    frozenset({date}): "date",
    frozenset({bytes}): "bytea",
}


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a table that records are written to."""

    schema: str
    table: str
    key: tuple[str, ...]
    slots: tuple[Slot, ...]
    passive: frozenset[str] = frozenset()
    """Columns that PostgreSQL fills by itself and nobody may write."""
    missing: tuple[Column, ...] = ()
    """What to create the table from; empty where it exists."""
    partitioned: bool = False
    loose: bool = False
    """A field without a column is gathered or left out, whatever it holds."""
    added: tuple[Column, ...] = ()
    """Columns that fields of records ask for, and that the table did not have."""

    @property
    def name(self) -> sql.Identifier:
        """Schema and table, to be put into statements."""
        return sql.Identifier(self.schema, self.table)

    @property
    def planned(self) -> bool:
        """Whether it is known of every column, whether the table is there or not, what it is made as."""
        return bool(self.missing) and not self.added

    def unknown(self, fields: set[str]) -> set[str]:
        """The fields that no column takes; a column of the whole record takes them all."""
        if any(not slot.path for slot in self.slots):
            return set()
        return fields - self.passive - {slot.path[0] for slot in self.slots}

    def opaque(self, field: str) -> bool:
        """Whether the field may come as undecoded JSON: all that is read of it goes into a column of JSON as it is."""
        taking = [slot for slot in self.slots if slot.path and slot.path[0] == field]
        if not taking:
            return self.loose or any(not slot.path for slot in self.slots)
        keys = {field, *(slot.name for slot in taking)} & set(self.key)
        return not keys and all(slot.shape is Shape.JSON and len(slot.path) == 1 for slot in taking)

    def slots_for(self, fields: set[str], always: Collection[str | None]) -> tuple[Slot, ...]:
        """The columns that records with these fields fill, and those that are always written; for the others the
        table's defaults stand."""
        return tuple(slot for slot in self.slots if not slot.path or slot.path[0] in fields or slot.name in always)


@dataclass(frozen=True, slots=True)
class _Existing:
    type: str
    base: str
    nullable: bool
    has_default: bool
    passive: bool


def schema_for(session: Session, target: Target) -> str:
    """The schema in which the table is or would be created. ConfigurationError where there is none to be used."""
    found = _find(session, target)
    named = found[1] if found else target.schema
    schema, usable = session.execute(_SCHEMA, {"schema": named}).fetchone() or (None, False)
    if schema is None:
        absent = f"schema {named!r} does not exist: CREATE SCHEMA it, or"
        unusable = "no schema of the search path exists or may be used: GRANT USAGE ON SCHEMA one of them, or"
        raise ConfigurationError(
            f"connection {target.connection!r}: {absent if named else unusable} write another as `schema.table`"
        )
    if not usable:
        raise ConfigurationError(
            f"connection {target.connection!r}: role {session.info.user!r} may not use schema {schema!r}: "
            f'GRANT USAGE ON SCHEMA "{schema}" TO "{session.info.user}"'
        )
    return str(schema)


def existing(session: Session, target: Target) -> Layout | None:
    """The table as the catalogue has it, once it fits the spec; None where it is missing. Raises ConfigurationError."""
    found = _find(session, target)
    if found is None:
        return None
    oid, schema, kind = found
    where = f"connection {target.connection!r}: table {schema}.{target.table}"
    if kind not in ("r", "p"):
        raise ConfigurationError(f"{where} is a view or foreign table, records go into tables only")
    rows = session.execute(_COLUMNS, [oid]).fetchall()
    columns = {name: _Existing(*rest) for name, *rest in rows}
    name = sql.Identifier(schema, target.table)
    _check_columns(target, columns, where, name)
    _check_key(session, target, oid, columns, where, name)
    _check_newer_by(target, columns, where, name)
    _check_rights(session, target, oid, where, name)
    slots, passive = _slots(target, columns), _passive(columns)
    return Layout(schema, target.table, target.key, slots, passive, (), kind == "p", _loose(target))


def missing(session: Session, target: Target) -> ConfigurationError:
    """The error for a table that is not there and may not be created, with the names that are nearest."""
    names = [row[0] for row in session.execute(_TABLES)]
    wanted = target.table if target.schema is None else f"{target.schema}.{target.table}"
    bare = {name.partition(".")[2]: name for name in names}
    near = {bare[each] for each in difflib.get_close_matches(target.table, bare, n=3)}
    near |= set(difflib.get_close_matches(wanted, names, n=3))
    hint = f"; near are {', '.join(sorted(near))}" if near else ""
    return ConfigurationError(
        f"connection {target.connection!r}: table {wanted!r} does not exist and {_not_created(target)}{hint}"
    )


def _not_created(target: Target) -> str:
    if target.strategy in ("update", "delete"):
        return f"strategy {target.strategy} has nothing to work on without it"
    return "create is false"


def planned(target: Target, schema: str, records: Sequence[Record]) -> Layout:
    """The layout of a table to be created: what is declared, the key, and every other field of these records."""
    fields = dict.fromkeys(chain.from_iterable(records))
    declared = {column.name: column for column in target.columns}
    taken = {column.path[0] for column in target.columns if column.path}
    keys = [Column(name, (name,)) for name in target.key if name not in declared]
    others = [Column(f, (f,)) for f in fields if f not in declared and f not in taken and f not in target.key]
    if target.rest:
        others = [column for column in others if column.name == target.newer_by]
    if target.newer_by not in (None, *target.key, *declared, *(column.name for column in others)):
        raise ConfigurationError(
            f"table {target.table!r} cannot be created: newer_by {target.newer_by!r} is in no record of the first "
            f"batch; give it a type under columns, `{target.newer_by}: timestamptz`"
        )
    columns = tuple(_decided(target, column, records) for column in [*keys, *target.columns, *others])
    if len(columns) > target.max_columns:
        raise ConfigurationError(
            f"table {target.table!r} would get {len(columns)} columns, {target.max_columns} are allowed "
            f"(`max_columns`): `pick` the fields that matter, or keep the record in one column with `from: $`"
        )
    slots = tuple(Slot(column.name, Shape.of(column.type or ""), column.path) for column in columns)
    return Layout(schema, target.table, target.key, slots, missing=columns, loose=_loose(target))


def is_declared(target: Target, records: Sequence[Record]) -> bool:
    """Whether the types of all columns that a table for these records would get are declared."""
    declared = {column.name for column in target.columns if column.type}
    taken = {column.path[0] for column in target.columns if column.path}
    wanted = {*target.key, *filter(None, [target.newer_by])}
    if not target.rest:
        wanted = wanted.union(*records)
    return wanted <= declared | taken and len(declared) == len(target.columns)


def create(session: Session, layout: Layout) -> None:
    """Create the planned table in the transaction under way."""
    parts = [_definition(layout, column) for column in layout.missing]
    if layout.key:
        parts.append(sql.SQL("primary key ({})").format(identifiers(layout.key)))
    session.execute(sql.SQL("create table {} ({})").format(layout.name, sql.SQL(", ").join(parts)))


def add(session: Session, target: Target, layout: Layout, columns: Sequence[Column]) -> None:
    """Add columns to the table in the transaction under way, unless another writer did: then they must be the same."""
    parts = [
        sql.SQL("add column if not exists {} {}").format(sql.Identifier(column.name), sql.SQL(column.type or "text"))
        for column in columns
    ]
    statement = sql.SQL("alter table {} {}").format(layout.name, sql.SQL(", ").join(parts))
    try:
        session.execute(statement)
    except psycopg.errors.InsufficientPrivilege as error:
        raise ConfigurationError(
            f"connection {target.connection!r}: role {session.info.user!r} does not own table {layout.schema}."
            f"{layout.table}, so evolution: evolve cannot add a column. As the owner run: "
            f"{statement.as_string(session)}; or say `evolution: ignore`"
        ) from error
    found = {name: Shape.of(base) for name, _, base, *_ in session.execute(_COLUMNS, [_oid(session, layout)])}
    for column in columns:
        if found[column.name] is not Shape.of(column.type or ""):
            raise RunFailed(
                f"column {column.name!r} of {layout.schema}.{layout.table} was added by someone else; try again"
            )


def _oid(session: Session, layout: Layout) -> int:
    row = session.execute("select %s::regclass::oid", [layout.name.as_string(session)]).fetchone()
    return int(row[0]) if row else 0


def inferred(values: Iterable[Any]) -> str:
    """The type of a column that holds these values; None says nothing."""
    values = [value for value in values if not nothing(value)]
    types = frozenset(map(type, values))
    if types == {int} and not all(-(2**63) <= value < 2**63 for value in values):
        return "numeric"
    return _OF_SCALARS.get(types, "jsonb")


def nothing(value: Any) -> bool:
    """Whether a value is null, also as undecoded JSON."""
    return value is None or (isinstance(value, msgspec.Raw) and bytes(value) == b"null")


def identifiers(names: Iterable[str]) -> sql.Composed:
    """Quoted names, joined by commas."""
    return sql.SQL(", ").join(map(sql.Identifier, names))


def rights(target: Target, schema: str) -> str:
    """What a role needs to load by this strategy, as in GRANT."""
    name = sql.Identifier(schema, target.table).as_string(None)
    return f"{', '.join(_RIGHTS[target.strategy])} ON {name}"


def _find(session: Session, target: Target) -> tuple[Any, ...] | None:
    return session.execute(_FIND, {"table": target.table, "schema": target.schema}).fetchone()


def _slots(target: Target, columns: dict[str, _Existing]) -> tuple[Slot, ...]:
    paths = {column.name: column.path for column in target.columns}
    return tuple(
        Slot(name, Shape.of(column.base), paths.get(name, (name,)))
        for name, column in columns.items()
        if not column.passive
    )


def _loose(target: Target) -> bool:
    return target.rest is not None or target.evolution == "ignore"


def _passive(columns: dict[str, _Existing]) -> frozenset[str]:
    return frozenset(name for name, column in columns.items() if column.passive)


def _check_columns(target: Target, columns: dict[str, _Existing], where: str, table: sql.Identifier) -> None:
    alter = f"ALTER TABLE {table.as_string(None)}"
    for column in target.columns:
        found, name = columns.get(column.name), sql.Identifier(column.name).as_string(None)
        if found is None:
            type = column.type or ("text" if column.path else "jsonb")
            raise ConfigurationError(f"{where} has no column {column.name!r}: {alter} ADD COLUMN {name} {type}")
        if found.passive:
            raise ConfigurationError(
                f"{where}: column {column.name!r} is generated by PostgreSQL: take it out of columns"
            )
        if column.type and column.type != found.type:
            raise ConfigurationError(
                f"{where}: column {column.name!r} is {found.type}, the spec says {column.type}: change the spec, or "
                f"{alter} ALTER COLUMN {name} TYPE {column.type}"
            )
        if not column.nullable and found.nullable:
            raise ConfigurationError(
                f"{where}: column {column.name!r} allows null, the spec says null: false: "
                f"{alter} ALTER COLUMN {name} SET NOT NULL"
            )
        if column.default is not None and not found.has_default:
            default = _default(column.default).as_string(None)
            raise ConfigurationError(
                f"{where}: column {column.name!r} has no default, the spec says {column.default!r}: "
                f"{alter} ALTER COLUMN {name} SET DEFAULT {default}"
            )


def _check_key(
    session: Session, target: Target, oid: int, columns: dict[str, _Existing], where: str, table: sql.Identifier
) -> None:
    for name in target.key:
        if name not in columns:
            raise ConfigurationError(f"{where} has no column {name!r}, which the spec names as key")
        if columns[name].passive:
            raise ConfigurationError(f"{where}: key {name!r} is generated by PostgreSQL, so no record can bring it")
    unique = [set(row[0]) for row in session.execute(_UNIQUE, [oid])]
    if target.key and set(target.key) not in unique:
        statement = sql.SQL("CREATE UNIQUE INDEX ON {} ({})").format(table, identifiers(target.key)).as_string(None)
        raise ConfigurationError(f"{where} has no unique index on key ({', '.join(target.key)}): {statement}")


def _check_newer_by(target: Target, columns: dict[str, _Existing], where: str, table: sql.Identifier) -> None:
    column = columns.get(target.newer_by or "")
    if target.newer_by and column is None:
        name = sql.Identifier(target.newer_by).as_string(None)
        raise ConfigurationError(
            f"{where} has no column {target.newer_by!r}, which the spec names as newer_by: "
            f"ALTER TABLE {table.as_string(None)} ADD COLUMN {name} timestamptz"
        )
    if column and column.passive:
        raise ConfigurationError(f"{where}: newer_by {target.newer_by!r} is generated, so no record can bring it")


def _check_rights(session: Session, target: Target, oid: int, where: str, table: sql.Identifier) -> None:
    rows = session.execute(_LACKING, {"oid": oid, "rights": list(_RIGHTS[target.strategy])}).fetchall()
    lacking = ", ".join(row[0] for row in rows)
    if lacking:
        role = session.info.user
        raise ConfigurationError(
            f'{where}: role {role!r} has no right to {lacking}: GRANT {lacking} ON {table.as_string(None)} TO "{role}"'
        )


def _decided(target: Target, column: Column, records: Sequence[Record]) -> Column:
    """The column with its type; a key is never null."""
    try:
        checked_name(column.name)
    except ValueError as error:
        raise ConfigurationError(f"table {target.table!r} cannot be created: field {error}") from error
    type = column.type or (inferred(values_at(records, column.path)) if column.path else "jsonb")
    is_key = column.name in target.key
    if is_key and column.type is None and type == "jsonb":
        type = "text"
    return replace(column, type=type, nullable=column.nullable and not is_key)


def _definition(layout: Layout, column: Column) -> sql.Composed:
    parts: list[sql.Composable] = [sql.Identifier(column.name), sql.SQL(column.type or "text")]
    if column.name in layout.key and column.type == "text":
        parts.append(sql.SQL('collate "C"'))  # keys are compared for being equal; by bytes is a good deal cheaper
    if not column.nullable:
        parts.append(sql.SQL("not null"))
    if column.default is not None:
        parts += [sql.SQL("default"), _default(column.default)]
    return sql.SQL(" ").join(parts)


def _default(value: Default) -> sql.Composable:
    if isinstance(value, str) and value.lower() in FUNCTIONS:
        return sql.SQL(value.lower())
    if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == "'":
        value = value[1:-1].replace("''", "'")
    return sql.Literal(value)
