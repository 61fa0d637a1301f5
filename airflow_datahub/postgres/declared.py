"""What a spec says about a table: names, types of an allow-list, defaults. Free of the driver, so that lint is fast."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from airflow_datahub.paths import parse

Strategy = Literal["insert", "upsert", "update", "delete", "append", "replace"]
Evolution = Literal["freeze", "ignore", "evolve", "reject"]
Default = bool | int | float | str

OURS = "_datahub_"
"""Names of our own tables and columns begin with this."""

LONGEST_NAME = 63
"""Bytes; PostgreSQL cuts longer names silently, so that two of them can become one."""

FUNCTIONS = ("now()", "current_timestamp", "gen_random_uuid()")
"""What a default may call."""

_FRACTION = ((0, 6),)
_LENGTH = ((1, 10_485_760),)
_TYPES: dict[str, tuple[str, tuple[tuple[int, int], ...]]] = {
    "text": ("text", ()),
    "varchar": ("character varying{}", _LENGTH),
    "char": ("character{}", _LENGTH),
    "smallint": ("smallint", ()),
    "integer": ("integer", ()),
    "bigint": ("bigint", ()),
    "numeric": ("numeric{}", ((1, 1000), (0, 1000))),
    "real": ("real", ()),
    "double precision": ("double precision", ()),
    "boolean": ("boolean", ()),
    "date": ("date", ()),
    "time": ("time{} without time zone", _FRACTION),
    "timestamp": ("timestamp{} without time zone", _FRACTION),
    "timestamptz": ("timestamp{} with time zone", _FRACTION),
    "interval": ("interval{}", _FRACTION),
    "uuid": ("uuid", ()),
    "jsonb": ("jsonb", ()),
    "json": ("json", ()),
    "bytea": ("bytea", ()),
    "inet": ("inet", ()),
}
_ALIASES = {
    "character varying": "varchar", "character": "char", "int2": "smallint", "int": "integer", "int4": "integer",
    "int8": "bigint", "decimal": "numeric", "float4": "real", "float8": "double precision", "bool": "boolean",
    "time without time zone": "time", "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
}  # fmt: skip
_TYPE = re.compile(r"([a-z][a-z0-9 ]*?)\s*(?:\(\s*(\d{1,8})\s*(?:,\s*(\d{1,8})\s*)?\))?\s*(\[\])?")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a spec, or one that is to be created."""

    name: str
    path: tuple[str, ...]
    """Where a record holds its value; empty for the record as the source gave it."""
    type: str | None = None
    """As PostgreSQL's `format_type` writes it; None: the table's own, else inferred."""
    nullable: bool = True
    default: Default | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """The table that a load step writes to, and how."""

    connection: str
    schema: str | None
    """None: where the connection's search path finds the table, else its first schema."""
    table: str
    key: tuple[str, ...]
    strategy: Strategy
    columns: tuple[Column, ...]
    create: bool
    newer_by: str | None = None
    rest: str | None = None
    evolution: Evolution = "freeze"
    max_columns: int = 500
    shrink: bool = False

    @property
    def writing(self) -> Strategy:
        """How a batch is written: of a replacing load into its shadow, which begins empty."""
        if self.strategy != "replace":
            return self.strategy
        return "upsert" if self.key else "append"

    def opaque(self, field: str) -> bool:
        """Whether the field may come as undecoded JSON, as far as the spec alone tells."""
        taking = [column for column in self.columns if column.path[:1] == (field,)]
        as_it_is = all(column.type in ("json", "jsonb") and len(column.path) == 1 for column in taking)
        keys = {field, *(column.name for column in taking)} & set(self.key)
        return bool(taking) and as_it_is and not keys

    @property
    def first_wins(self) -> bool:
        """Of records of one key in a batch, the first stands; else the last, or the newest."""
        return self.strategy in ("insert", "delete")


def canonical(type: str) -> str:
    """A type of the allow-list as PostgreSQL writes it: `varchar(20)` is `character varying(20)`. Raises ValueError."""
    found = _TYPE.fullmatch(" ".join(type.lower().split()))
    name = _ALIASES.get(found[1], found[1]) if found else ""
    if not found or name not in _TYPES:
        raise ValueError(
            f"type {type[:80]!r} is not known; known are {', '.join(_TYPES)}, and arrays of them as text[]"
        )
    form, limits = _TYPES[name]
    numbers = [int(number) for number in found.group(2, 3) if number]
    if len(numbers) > len(limits) or any(not low <= n <= high for n, (low, high) in zip(numbers, limits, strict=False)):
        ranges = ", ".join(f"{low} to {high}" for low, high in limits)
        raise ValueError(f"type {type[:80]!r}: {name} takes " + (f"at most ({ranges})" if limits else "no numbers"))
    return form.format(_arguments(name, numbers)) + (found[4] or "")


def _arguments(name: str, numbers: list[int]) -> str:
    if name == "numeric" and len(numbers) == 1:
        numbers = [*numbers, 0]
    if name == "char" and not numbers:
        numbers = [1]
    return f"({','.join(map(str, numbers))})" if numbers else ""


def checked_name(name: str) -> str:
    """The name of a table or column as it is, if PostgreSQL can hold it. Raises ValueError."""
    if not name or "\0" in name:
        raise ValueError(f"name {name[:80]!r} is empty or holds a NUL character")
    if len(name.encode()) > LONGEST_NAME:
        raise ValueError(f"name {name[:80]!r} is longer than {LONGEST_NAME} bytes, PostgreSQL would cut it")
    if name.startswith(OURS):
        raise ValueError(f"name {name!r}: names that begin with {OURS} are ours")
    return name


def split_table(text: str) -> tuple[str | None, str]:
    """`schema.table` or `table` as schema (or None) and table, case kept. Raises ValueError."""
    schema, dot, table = text.rpartition(".")
    if "." in schema or (dot and not schema):
        raise ValueError(f"table {text[:80]!r}: write `table` or `schema.table`")
    return (checked_name(schema) if dot else None), checked_name(table)


def checked_default(value: Default) -> Default:
    """The default as it is; text that looks like SQL and is not one of FUNCTIONS raises ValueError."""
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("default: text cannot hold a NUL character")
        if value.lower() not in FUNCTIONS and re.fullmatch(r"\s*[\w.]+\s*\(.*\)\s*", value, re.DOTALL):
            raise ValueError(
                f"default {value[:80]!r} is not one of {', '.join(FUNCTIONS)}; "
                f"if the text itself is meant, put it in SQL quotes: \"'{value[:80]}'\""
            )
    return value


def split_path(text: str) -> tuple[str, ...]:
    """The names of a path; `$` is the whole record, no names. Raises ValueError."""
    if not text:
        raise ValueError("path is empty; write the field's name, or `$` for the whole record")
    return () if text == "$" else parse(text)
