"""Writes docs/reference.md from the classes of grammar, adapters and options, and the end of docs/cli.md.

`python docs/reference.py [--check]`
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from typer.main import get_command

from airflow_datahub.adapters import Kind, names
from airflow_datahub.cli.application import application
from airflow_datahub.conditions import condition
from airflow_datahub.conditions.comparison import Comparison
from airflow_datahub.conditions.condition import AllOf, AnyOf, Not
from airflow_datahub.environment import OPTIONS
from airflow_datahub.http.extra import Extra
from airflow_datahub.spec.describing import Description, Field, Mapping, describe, fields, nested
from airflow_datahub.spec.models import Definition, Edge
from airflow_datahub.spec.step_types import Step
from airflow_datahub.spec.steps import TYPES

PAGE = Path(__file__).with_name("reference.md")
COMMANDS = Path(__file__).with_name("cli.md")
GENERATED = "## All commands\n"
"""From this line on the page of commands is generated."""
KINDS: dict[Kind, str] = {"sources": "Sources", "transforms": "Operators", "sinks": "Sinks"}


STEPS: tuple[type[Step], ...] = tuple(TYPES.values())


def reference() -> str:
    """The whole page."""
    parts = (_spec(), _steps(), _conditions(), _kinds(), _connections(), _options())
    return "\n".join([*HEAD, *chain.from_iterable(parts)])


HEAD = (
    "# Reference",
    "",
    "Generated from the classes; `python docs/reference.py` writes it. A word that is not here is refused at its line.",
    "",
)


def _spec() -> Iterator[str]:
    yield from ("## The spec", "", "What stands at the top of the file; the steps have a section of their own.", "")
    steps = Field("steps", "list of steps", True, None, "The steps, in the order in which records pass them.")
    edges = Field("edges", "list of `Edge`", False, None, "Every connection between steps; none: one follows another.")
    mapping = Mapping("Edge", _sentence(Edge), tuple(fields(Edge)))
    own = [replace(field, needed=field.needed and field.name != "id") for field in fields(Definition)]  # id: the file's
    yield from _tables([*own, steps, edges], [*nested(Definition), mapping])


def _steps() -> Iterator[str]:
    yield from ("## Steps", "", _sentence(Step), "", *_tables(fields(Step), nested(Step)))
    common = list(fields(Step))
    for step in STEPS:
        own = [_of_step(field) for field in fields(step) if field not in common and field.name != "type"]
        yield from (f"### `{_type_of(step)}`", "", _sentence(step), "", *_tables(own, _mappings(step)))


def _type_of(step: type[Step]) -> str:
    return str(step.model_fields["type"].default)


def _of_step(field: Field) -> Field:
    """What the adapters take is told of in sections of their own."""
    if field.name == "operators":
        beside = "`on_error` and `if`, a condition, may be among them"
        text = f"{field.text} Each is a mapping of one name to its fields; {beside}."
        return replace(field, type="list of operators", text=text)
    return replace(field, type="mapping", needed=False) if field.name == "config" else field


def _mappings(step: type[Step]) -> Iterator[Mapping]:
    return (each for each in nested(step) if each.name.endswith(("Throughput", "Rule")))


def _conditions() -> Iterator[str]:
    yield from ("## Conditions", "", inspect.getdoc(condition).partition("\n\n")[0] if condition.__doc__ else "", "")
    yield from (_sentence(Comparison), "", *_table(fields(Comparison)))
    yield from ("| word | means |", "|---|---|")
    yield from (
        f"| `{word}` | {_sentence(model)} |" for word, model in {"all": AllOf, "any": AnyOf, "not": Not}.items()
    )
    yield ""


def _connections() -> Iterator[str]:
    yield from ("## Connections", "", "### `http`", "", f"`extra`: {inspect.getdoc(Extra)}", "")
    yield from _tables(fields(Extra), nested(Extra))


def _options() -> Iterator[str]:
    yield from ("## Options", "", "In the section `[airflow_datahub]` of `airflow.cfg`, or in the environment as")
    yield from (
        "`AIRFLOW__AIRFLOW_DATAHUB__NAME`. `airflow-datahub config` shows their values and where each is from.",
        "",
    )
    yield from ("| option | type | default | |", "|---|---|---|---|")
    for name, option in OPTIONS.items():
        default = "" if option.default is None else f"`{option.default}`"
        yield f"| `{name}` | {option.type}{', secret' if option.sensitive else ''} | {default} | {option.text} |"
    yield ""


def _sentence(model: type) -> str:
    return " ".join((inspect.getdoc(model) or "").split())


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
        parts = {"answers:": found.answers, "given:": found.given, "gives:": found.gives}
        shown = [line for title, text in parts.items() if text for line in (title, _indented(text))]
        yield from ("```yaml", *shown, "```", "")
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
    return "" if row.default is None else f"`{_written(row.default)}`"


def _written(default: object) -> str:
    """As a spec writes it: a duration is `10s` there, and PT10S in JSON."""
    iso = re.fullmatch(r"PT(\d+)([SMH])", default) if isinstance(default, str) else None
    return iso[1] + iso[2].lower() if iso else json.dumps(default)


def commands() -> str:
    """The page of the command line: what somebody wrote, then every command with its options."""
    written = COMMANDS.read_text().partition(GENERATED)[0]
    said = "\nGenerated from the commands; `--help` behind any of them says the same.\n\n"
    return written + GENERATED + said + "\n".join(_command("airflow-datahub", get_command(application)))


def _command(name: str, command: Any) -> Iterator[str]:
    """Typer has a copy of click of its own, so that nothing is of a class of click's."""
    if inner := getattr(command, "commands", None):
        for each in inner:
            yield from _command(f"{name} {each}", inner[each])
        return
    yield from (f"### `{name}`", "", " ".join((command.help or "").split()).replace("<", "&lt;"), "")
    words = [each for each in command.params if each.name != "help"]
    if words:
        yield from ("| | default | |", "|---|---|---|", *map(_word, words), "")


def _word(word: Any) -> str:
    """A row: an argument as the usage shows it, an option as it is written."""
    text = str(getattr(word, "help", None) or "").replace("|", "\\|").replace("<", "&lt;")
    if word.param_type_name == "argument":
        name = (word.metavar or word.name or "").strip("[]").upper()
    else:
        name = ", ".join(word.opts) + ("" if getattr(word, "is_flag", False) else " …")
    default = "needed" if word.required else "" if word.default in (None, False, ()) else f"`{word.default}`"
    return f"| `{name}` | {default} | {text} |"


def main() -> None:
    """Write the pages, or see whether they are what the classes and commands give."""
    for page, text in ((PAGE, reference()), (COMMANDS, commands())):
        if "--check" not in sys.argv:
            page.write_text(text)
        elif page.read_text() != text:
            sys.exit(f"docs/{page.name} is old: run `python docs/reference.py`")


if __name__ == "__main__":
    main()
