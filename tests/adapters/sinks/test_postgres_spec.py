"""What the YAML of the PostgreSQL sink may say; no server is needed."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from airflow_datahub import adapters
from airflow_datahub.adapters.sinks.postgres import Postgres
from airflow_datahub.postgres.declared import Column, canonical, split_path

PLAIN: dict[str, Any] = {"connection": "warehouse", "table": "events", "key": ["id"]}


def test_it_is_found_by_its_name() -> None:
    assert adapters.load("sinks", "postgres") is Postgres


def test_the_short_and_the_long_form_of_a_column() -> None:
    spec = {**PLAIN, "table": "sales.Events", "columns": {
        "t": "timestamptz", "data": {"type": "jsonb", "null": False, "from": "$"}, "a": {"from": r"x.y\.z.0"},
    }}  # fmt: skip
    target = Postgres(**spec).target()
    assert (target.schema, target.table, target.key) == ("sales", "Events", ("id",))
    assert target.columns == (
        Column("t", ("t",), "timestamp with time zone"),
        Column("data", (), "jsonb", nullable=False),
        Column("a", ("x", "y.z", "0")),
    )


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("VARCHAR( 20 )", "character varying(20)"), ("char", "character(1)"), ("int", "integer"), ("int8", "bigint"),
        ("numeric(10)", "numeric(10,0)"), ("decimal(10, 2)", "numeric(10,2)"),
        ("double  precision", "double precision"),
        ("timestamptz(3)", "timestamp(3) with time zone"), ("timestamp", "timestamp without time zone"),
        ("text[]", "text[]"), ("varchar(3) []", "character varying(3)[]"), ("interval", "interval"),
    ],
)  # fmt: skip
def test_types(written: str, meant: str) -> None:
    assert canonical(written) == meant


@pytest.mark.parametrize(
    "written", ["", "txt", "text; drop table x", "text default 1", "varchar(0)", "varchar(1,2)", "text(3)", "text[][]",
                "numeric(1001)", "serial", "character varying(20) collate \"C\"", "timestamp(7)"],
)  # fmt: skip
def test_types_that_are_refused(written: str) -> None:
    with pytest.raises(ValueError, match="type"):
        canonical(written)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strategy": "update", "key": []}, "key is needed for strategy update"),
        ({"strategy": "delete", "key": []}, "key is needed for strategy delete"),
        ({"newer_by": "t"}, "newer_by has no meaning with strategy insert"),
        ({"newer_by": "t", "strategy": "delete"}, "newer_by has no meaning with strategy delete"),
        ({"newer_by": "t", "strategy": "replace"}, "newer_by has no meaning with strategy replace"),
        ({"newer_by": "id", "strategy": "upsert"}, "newer_by 'id' is part of the key"),
        ({"newer_by": "t", "strategy": "upsert", "columns": {"t": "jsonb"}}, "newer_by 't' is JSON"),
        ({"newer_by": "r", "strategy": "upsert", "rest": "r"}, "newer_by 'r' is JSON"),
        ({"newer_by": "t", "strategy": "upsert", "columns": {"t": {"from": "$"}}}, "newer_by 't' is JSON"),
        ({"rest": "r", "columns": {"r": "text"}}, "rest 'r' is of type text in columns, it must be jsonb"),
        ({"rest": "r", "columns": {"r": {"from": "x"}}}, "rest 'r' .* can have no `from`"),
        ({"rest": "r", "columns": {"r": {"null": False}}}, "rest 'r' is null where every field has a column"),
        ({"rest": "id"}, "rest 'id' cannot be part of the key"),
        ({"rest": "r", "evolution": "evolve"}, "evolution evolve has no meaning with rest"),
        ({"rest": "r", "columns": {"d": {"from": "$"}}}, "rest has no meaning with column 'd'"),
        ({"evolution": "evolve", "columns": {"d": {"from": "$"}}}, "evolution evolve has no meaning with column 'd'"),
        ({"evolution": "thaw"}, "freeze"),
        ({"strategy": "delete", "rest": "r"}, "rest has no meaning with strategy delete"),
        ({"strategy": "delete", "evolution": "ignore"}, "evolution has no meaning with strategy delete"),
        ({"strategy": "delete", "columns": {"n": "text"}}, "column 'n' has no meaning with strategy delete"),
        ({"strategy": "delete", "create": True}, "create has no meaning with strategy delete"),
        ({"strategy": "update", "create": True}, "create has no meaning with strategy update"),
        ({"max_columns": 0}, "greater than or equal to 1"),
        ({"max_columns": 1601}, "less than or equal to 1600"),
        ({"max_columns": 9, "strategy": "delete"}, "max_columns has no meaning .*: nothing here makes columns"),
        ({"max_columns": 9, "strategy": "update"}, "max_columns has no meaning .*: nothing here makes columns"),
        ({"max_columns": 9, "create": False}, "max_columns has no meaning .*: nothing here makes columns"),
        ({"shrink": True}, "shrink has no meaning with strategy insert"),
        ({"strategy": "upsrt"}, "upsert"),
        ({"key": []}, "key is needed for strategy insert"),
        ({"strategy": "append"}, "key has no meaning"),
        ({"key": ["id", "id"]}, "twice"),
        ({"table": "a.b.c"}, "schema.table"),
        ({"table": ".b"}, "schema.table"),
        ({"table": ""}, "empty"),
        ({"table": "x" * 64}, "63 bytes"),
        ({"table": "a\0"}, "NUL"),
        ({"table": "_datahub_checkpoint"}, "ours"),
        ({"columns": {"é" * 32: "text"}}, "63 bytes"),
        ({"columns": {"a": "nonsense"}}, "'nonsense' is not known"),
        ({"columns": {"a": {"default": "pg_sleep(9)"}}}, "not one of now"),
        ({"columns": {"a": {"default": [1]}}}, "default"),
        ({"columns": {"a": {"from": "a..b"}}}, "not a path"),
        ({"columns": {"id": {"from": "$"}}}, "cannot be the whole record"),
        ({"columns": {"a": {"typ": "text"}}}, "typ"),
        ({"tabel": "x"}, "tabel"),
    ],
)
def test_what_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Postgres(**{**PLAIN, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"strategy": "replace"}, {"strategy": "replace", "key": [], "shrink": True},
        {"strategy": "replace", "evolution": "evolve"}, {"strategy": "replace", "rest": "r"},
        {"strategy": "update", "newer_by": "t", "evolution": "ignore", "create": False},
        {"strategy": "delete", "columns": {"id": {"type": "uuid", "from": "it.id"}}, "create": False},
        {"rest": "r", "columns": {"r": "jsonb"}},
        {"max_columns": 1600}, {"strategy": "update", "evolution": "evolve", "max_columns": 9},
    ],
)  # fmt: skip
def test_what_has_a_meaning(change: dict[str, Any]) -> None:
    assert Postgres(**{**PLAIN, **change}).target().create is (change.get("strategy") not in ("update", "delete"))


def test_paths() -> None:
    assert split_path("$") == ()
    assert split_path(r"a\.b.0") == ("a.b", "0")


def test_reading_a_spec_needs_no_driver() -> None:
    program = (
        "import sys, airflow_datahub.adapters as a; a.load('sinks', 'postgres')\n"
        "print([m for m in ('psycopg', 'airflow', 'aiohttp') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
