"""Every file, table, setting, command and word that the page of the design documents says is here, is here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, get_args

import pytest
import typer
from pydantic import BaseModel

from airflow_datahub import contract, errors
from airflow_datahub.adapters import names
from airflow_datahub.adapters.sinks.postgres import Postgres
from airflow_datahub.adapters.sources.http_api import HttpApi
from airflow_datahub.cli.application import application
from airflow_datahub.environment import OPTIONS
from airflow_datahub.http.extra import Extra
from airflow_datahub.spec import ExtractStep, LoadStep, Pipeline, TransformStep, future
from airflow_datahub.spec.models import Definition
from airflow_datahub.spec.steps import TYPES
from airflow_datahub.state.tables import metadata
from tests.world import ROOT

PAGE = (ROOT / "docs" / "from-the-design-documents.md").read_text()
LATER = re.compile(r"Later \(([^)]*)\)")
SPAN = re.compile(r"`([^`]+)`")
IN_THE_WAREHOUSE = "".join(path.read_text() for path in (ROOT / "airflow_datahub" / "postgres").glob("*.py"))


def cells() -> Iterator[str]:
    """The right column of every table."""
    for line in PAGE.splitlines():
        if line.startswith("|") and not line.startswith("|---") and "| here |" not in line:
            yield line.strip("|").rpartition(" | ")[2]


def is_path(span: str) -> bool:
    return (ROOT / span).exists()


def is_table(span: str) -> bool:
    return span in metadata.tables or (span.startswith("_datahub") and f'"{span}"' in IN_THE_WAREHOUSE)


def is_command(span: str) -> bool:
    program, *words = span.split()
    if program == "make":
        return f"\n{words[0]}: " in (ROOT / "Makefile").read_text()
    command: Any = typer.main.get_command(application)
    while program == "airflow-datahub" and words and not words[0].startswith("-"):
        command = getattr(command, "commands", {}).get(words.pop(0))
    known = {option for each in getattr(command, "params", ()) for option in each.opts}
    return program == "airflow-datahub" and command is not None and known.issuperset(words)


def is_setting(span: str) -> bool:
    section, _, name = span.partition(" ")
    if section == "[airflow_datahub]":
        return not name or name in OPTIONS
    return f"\n{span}=" in (ROOT / ".env.example").read_text()


def is_of_the_contract(span: str) -> bool:
    name, _, attribute = span.partition(".")
    found = getattr(contract, name, None) or getattr(errors, name, None)
    members = {*dir(found), *getattr(found, "__dataclass_fields__", ())}
    return found is not None and (not attribute or attribute in members)


def parts(annotation: Any) -> Iterator[Any]:
    """The fields of the models, and the values of the literals, that an annotation is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from annotation.model_fields
    for each in get_args(annotation):
        yield each
        yield from parts(each)


def is_word(span: str) -> bool:
    """A word of the grammar, of an adapter or a connection; `throughput.batch_size` is one of a word's own."""
    first, _, second = span.replace(": ", ".").partition(".")
    models: list[type[BaseModel]] = [Definition, Pipeline, ExtractStep, TransformStep, LoadStep, HttpApi, Postgres]
    fields = [(info.alias or name, info) for model in [*models, Extra] for name, info in model.model_fields.items()]
    adapters = {name for kind in ("sources", "transforms", "sinks") for name in names(kind)}
    types = set(TYPES)
    if second:
        return any(name == first and second in set(parts(info.annotation)) for name, info in fields)
    return first in {name for name, _ in fields} | adapters | types | {"edges", "from"}


KINDS: list[Callable[[str], bool]] = [is_path, is_table, is_command, is_setting, is_of_the_contract, is_word]
ELSEWHERE = {
    "POST /api/v2/dags/<id>/dagRuns": "Airflow",
    "RateLimit": "HTTP",
    "${NAME}": "the environment",
    "utils": "nowhere",
    "_meta": "data",
    "ingested_events": "dags/pipelines/datasync_events.yaml",
}
COLUMNS = {"id", "timestamp", "data", "ingested_at", "cursor", "counters", "updated_at"}


@pytest.mark.parametrize("span", sorted({span for cell in cells() for span in SPAN.findall(LATER.sub("", cell))}))
def test_what_is_here_is_here(span: str) -> None:
    assert span in ELSEWHERE or span in COLUMNS or any(kind(span) for kind in KINDS)


@pytest.mark.parametrize("span", sorted({span for names in LATER.findall(PAGE) for span in SPAN.findall(names)}))
def test_what_is_later_is_a_word_kept_for_it_and_not_there_yet(span: str) -> None:
    words = {word for place in future.WORDS.values() for word in place}
    adapters = {name for text in future.ADAPTERS.values() for name in text.split()}
    there = {name for kind in ("sources", "transforms", "sinks") for name in names(kind)}
    assert span in words | adapters | set(future.STEP_TYPES)
    assert span not in there, f"{span} is there now: say on the page where"


def test_every_row_has_both_columns() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")]
    assert len(rows) > 150
    assert [row for row in rows if row.count(" | ") != 1 or not row.strip("| ")] == []


def test_the_kinds_tell_what_is_there_from_what_is_not() -> None:
    files = ("airflow_datahub/nothing.py", "datahub_nothing", "_datahub_nothing")
    commands = ("airflow-datahub nothing", "airflow-datahub run --nothing", "make nothing")
    words = ("[airflow_datahub] nothing", "NOTHING", "Source.nothing", "throughput.nothing", "strategy: nothing")
    for wrong in (*files, *commands, *words):
        assert not any(kind(wrong) for kind in KINDS), wrong
