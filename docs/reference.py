"""Writes docs/reference.md from the adapters' classes: `python docs/reference.py [--check]`."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from airflow_datahub.adapters import load, names
from airflow_datahub.contract import Adapter
from airflow_datahub.http.extra import Extra

PAGE = Path(__file__).with_name("reference.md")
CONDITIONS = "airflow_datahub.conditions"
KINDS = {"sources": "Sources", "transforms": "Operators", "sinks": "Sinks"}


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
            *_fields(Extra),
        ]
    )


def _kinds() -> Iterator[str]:
    for kind, title in KINDS.items():
        yield from (f"## {title}", "")
        for name, module in sorted(names(kind).items()):
            if module.startswith("airflow_datahub."):
                yield from _adapter(name, load(kind, name))


def _adapter(name: str, adapter: type[Adapter]) -> Iterator[str]:
    text = inspect.getdoc(import_module(adapter.__module__)) or ""
    prose, _, example = text.partition("Example:\n")
    example, _, sample = example.partition("Given:\n")
    yield from (f"### `{name}`", "", prose.strip(), "")
    yield from ("```yaml", inspect.cleandoc("\n" + example), "```", "")
    if sample:
        given, _, gives = sample.partition("Gives:\n")
        yield from ("```yaml", "given:", given.rstrip(), "gives:", gives.rstrip(), "```", "")
    yield from _fields(adapter)


def _fields(model: type[BaseModel]) -> Iterator[str]:
    yield from ("| field | type | default | |", "|---|---|---|---|")
    schemas = model.model_json_schema()["properties"]
    nested: list[type[BaseModel]] = []
    for name, field in model.model_fields.items():
        if field.exclude:  # a word that is known and does not act yet
            continue
        text = " ".join((field.description or "").split()).replace("|", "\\|")
        word = str(field.alias or name)
        yield f"| `{word}` | {_type(schemas[word])} | {_default(field, schemas[word])} | {text} |"
        nested += _models(field.annotation)
    yield ""
    for each in nested:
        if each.model_fields:
            yield from (f"`{each.__name__}`: {' '.join((inspect.getdoc(each) or '').split())}", "")
            yield from _fields(each)


NAMES = {"object": "mapping", "string": "text"}


def _type(schema: dict[str, Any]) -> str:
    """A JSON Schema in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return "CONDITION" if name in ("Cel", "Comparison", "AllOf", "AnyOf", "Not") else f"`{name}`"
    if "const" in schema or "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(_type(choice) for choice in choices))
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"mapping to {_type(schema['additionalProperties'])}"
    return NAMES.get(kind, kind)


def _default(field: FieldInfo, schema: dict[str, Any]) -> str:
    if field.is_required():
        return "needed"
    value = field.get_default(call_default_factory=True, validated_data={})
    return "" if value is None or isinstance(value, BaseModel) else f"`{json.dumps(schema.get('default', value))}`"


def _models(annotation: Any) -> list[type[BaseModel]]:
    return [model for model in _all_models(annotation) if not model.__module__.startswith(CONDITIONS)]


def _all_models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _all_models(argument)]


def main() -> None:
    """Write the page, or see whether it is the one that the classes give."""
    if "--check" not in sys.argv:
        PAGE.write_text(reference())
    elif PAGE.read_text() != reference():
        sys.exit("docs/reference.md is old: run `python docs/reference.py`")


if __name__ == "__main__":
    main()
