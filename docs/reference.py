"""Writes docs/reference.md from the adapters' classes: `python docs/reference.py [--check]`."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from airflow_datahub.adapters import Kind, names
from airflow_datahub.http.extra import Extra
from airflow_datahub.spec.describing import Description, Field, Mapping, describe, fields, nested

PAGE = Path(__file__).with_name("reference.md")
KINDS: dict[Kind, str] = {"sources": "Sources", "transforms": "Operators", "sinks": "Sinks"}


def reference() -> str:
    """The whole page."""
    return "\n".join(
        [
            "# Reference",
            "",
            "Generated from the classes; `python docs/reference.py` writes it.",
            "",
            *_kinds(),
            "## Connections",
            "",
            "### `http`",
            "",
            f"`extra`: {inspect.getdoc(Extra)}",
            "",
            *_tables(fields(Extra), nested(Extra)),
        ]
    )


def _kinds() -> Iterator[str]:
    for kind, title in KINDS.items():
        yield from (f"## {title}", "")
        for name, module in sorted(names(kind).items()):
            if module.startswith("airflow_datahub."):
                yield from _adapter(describe(kind, name))


def _adapter(found: Description) -> Iterator[str]:
    yield from (f"### `{found.name}`", "", found.text, "")
    yield from ("```yaml", found.example, "```", "")
    if found.given:
        yield from ("```yaml", "given:", _indented(found.given), "gives:", _indented(found.gives), "```", "")
    yield from _tables(found.fields, found.mappings)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" if line else line for line in text.splitlines())


def _tables(own: Iterable[Field], mappings: Iterable[Mapping]) -> Iterator[str]:
    yield from _table(own)
    for each in mappings:
        yield from (f"`{each.name}`: {each.text}", "", *_table(each.fields))


def _table(rows: Iterable[Field]) -> Iterator[str]:
    yield from ("| field | type | default | |", "|---|---|---|---|")
    for row in rows:
        text = row.text.replace("|", "\\|")
        yield f"| `{row.name}` | {row.type} | {_default(row)} | {text} |"
    yield ""


def _default(row: Field) -> str:
    if row.needed:
        return "needed"
    return "" if row.default is None else f"`{json.dumps(row.default)}`"


def main() -> None:
    """Write the page, or see whether it is the one that the classes give."""
    if "--check" not in sys.argv:
        PAGE.write_text(reference())
    elif PAGE.read_text() != reference():
        sys.exit("docs/reference.md is old: run `python docs/reference.py`")


if __name__ == "__main__":
    main()
