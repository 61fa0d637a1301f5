"""Writes docs/reference.md from the adapters' classes: `python docs/reference.py [--check]`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from airflow_datahub.adapters import load, names
from airflow_datahub.contract import Adapter

PAGE = Path(__file__).with_name("reference.md")
KINDS = {"sources": "Sources", "transforms": "Operators", "sinks": "Sinks"}


def reference() -> str:
    """The whole page."""
    return "\n".join(
        ["# Reference", "", "Generated from the classes; `python docs/reference.py` writes it.", "", *_kinds()]
    )


def _kinds() -> Iterator[str]:
    for kind, title in KINDS.items():
        yield from (f"## {title}", "")
        for name, module in sorted(names(kind).items()):
            if module.startswith("airflow_datahub."):
                yield from _adapter(name, load(kind, name))


def _adapter(name: str, adapter: type[Adapter]) -> Iterator[str]:
    text = inspect.getdoc(import_module(adapter.__module__)) or ""
    prose, _, example = text.partition("Example:")
    yield from (f"### `{name}`", "", prose.strip(), "")
    yield from ("```yaml", inspect.cleandoc("\n" + example), "```", "")
    yield from _fields(adapter)


def _fields(model: type[BaseModel]) -> Iterator[str]:
    yield from ("| field | type | default | |", "|---|---|---|---|")
    nested: list[type[BaseModel]] = []
    for name, field in model.model_fields.items():
        text = " ".join((field.description or "").split()).replace("|", "\\|")
        yield f"| `{field.alias or name}` | {_type(field)} | {_default(field)} | {text} |"
        nested += _models(field.annotation)
    yield ""
    for each in nested:
        if each.model_fields:
            yield from (f"`{each.__name__}`: {' '.join((inspect.getdoc(each) or '').split())}", "")
            yield from _fields(each)


def _type(field: FieldInfo) -> str:
    text = inspect.formatannotation(field.annotation).replace("typing.", "").replace("NoneType", "null")
    return "`" + text.replace(" | ", " or ").replace("|", "\\|") + "`"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    value = field.get_default(call_default_factory=True, validated_data={})
    return "" if value is None or isinstance(value, BaseModel) else f"`{value!r}`"


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [] if annotation.__module__.startswith("airflow_datahub.conditions") else [annotation]
    return [model for argument in get_args(annotation) for model in _models(argument)]


def main() -> None:
    """Write the page, or see whether it is the one that the classes give."""
    if "--check" not in sys.argv:
        PAGE.write_text(reference())
    elif PAGE.read_text() != reference():
        sys.exit("docs/reference.md is old: run `python docs/reference.py`")


if __name__ == "__main__":
    main()
