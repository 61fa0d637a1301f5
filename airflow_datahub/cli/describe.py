"""`airflow-datahub describe`: what an adapter or operator does and takes."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from airflow_datahub.spec.describing import Description, Field

WIDTH = 100


def describe(
    name: Annotated[str, typer.Argument(help="An adapter or operator as a spec names it, or its import path.")],
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON an adapter of that name.")] = False,
) -> None:
    """Describe an adapter or operator: what it does, an example, its fields with types and defaults."""
    from airflow_datahub.adapters import AdapterNotFound
    from airflow_datahub.spec.describing import described

    try:
        found = described(name)
    except AdapterNotFound as error:
        raise typer.BadParameter(f"{error} (`airflow-datahub list` shows all)") from None
    for each in found:
        print(json.dumps(asdict(each)) if as_json else "\n".join(_page(each)))


def _page(found: Description) -> Iterator[str]:
    yield from (f"{found.kind[:-1]} {found.name} ({found.module})", "", found.text, "")
    yield from _block("Example", found.example)
    yield from _block("Answers", found.answers)
    yield from _block("Given", found.given)
    yield from _block("Gives", found.gives)
    yield from _fields("Fields", found.fields)
    for mapping in found.mappings:
        yield from _fields(f"{mapping.name}: {mapping.text}", mapping.fields)


def _block(title: str, text: str) -> Iterator[str]:
    if text:
        yield from (f"{title}:", textwrap.indent(text, "  "), "")


def _fields(title: str, fields: Iterable[Field]) -> Iterator[str]:
    yield title if title.endswith(".") else f"{title}:"
    for field in fields:
        default = "needed" if field.needed else "" if field.default is None else f"default {json.dumps(field.default)}"
        yield f"  {field.name}  ({', '.join(filter(None, (field.type.replace('`', ''), default)))})"
        yield from textwrap.wrap(field.text, WIDTH, initial_indent="      ", subsequent_indent="      ")
    yield ""
