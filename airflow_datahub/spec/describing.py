"""What an adapter is and takes, in words: for `airflow-datahub describe`, and for the reference page."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from airflow_datahub.adapters import KINDS, AdapterNotFound, Kind, load, names, nearest

CONDITIONS = "airflow_datahub.conditions"
NAMES = {"object": "mapping", "string": "text"}


@dataclass(frozen=True, slots=True)
class Field:
    """One word that a mapping takes."""

    name: str
    """As the YAML writes it."""
    type: str
    """In a few words."""
    needed: bool
    default: Any
    """As JSON has it; None where there is none, or where it is a whole mapping."""
    text: str


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping that stands in a field of an adapter."""

    name: str
    text: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Description:
    """One adapter; the parts are those of its module's docstring."""

    kind: Kind
    name: str
    module: str
    text: str
    example: str
    """YAML: what a step holds."""
    given: str
    """YAML: records that a transform is given; empty for sources and sinks."""
    gives: str
    answers: str
    """YAML: what other systems are asked there, and answer; empty where none is asked."""
    fields: tuple[Field, ...]
    mappings: tuple[Mapping, ...]
    """What stands in its fields, and in theirs; conditions left out."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An adapter in the list of all."""

    kind: Kind
    name: str
    module: str
    text: str
    """The first line of its documentation."""


def entries(kind: Kind) -> list[Entry]:
    """All adapters of a kind, by name; none of them is imported."""
    return [Entry(kind, name, module, _first_line(module)) for name, module in sorted(names(kind).items())]


def described(name: str) -> list[Description]:
    """The adapters of that name or import path, of whatever kind: a source and a sink may share one.

    Raises AdapterNotFound, which names the nearest."""
    kinds: list[Kind] = [kind for kind in KINDS if ":" in name or name in names(kind)]
    if not kinds:
        known = sorted({each for kind in KINDS for each in names(kind)})
        raise AdapterNotFound(f"there is no adapter and no operator {name!r}{nearest(name, known)}")
    found, missed = [], ""
    for kind in kinds:
        try:
            found.append(describe(kind, name))
        except AdapterNotFound as error:
            if ":" not in name:
                raise
            missed = str(error)
    if not found:
        raise AdapterNotFound(missed)
    return found


def describe(kind: Kind, name: str) -> Description:
    """One adapter. Raises AdapterNotFound."""
    adapter = load(kind, name)
    text = inspect.getdoc(import_module(adapter.__module__)) or ""
    prose, _, example = text.partition("Example:\n")
    example, _, sample = example.partition("Given:\n")
    example, _, answers = example.partition("Answers:\n")
    given, _, gives = sample.partition("Gives:\n")
    return Description(
        kind, name, adapter.__module__, prose.strip(), _dedented(example), _dedented(given), _dedented(gives),
        _dedented(answers), tuple(fields(adapter)), tuple(nested(adapter)),
    )  # fmt: skip


def fields(model: type[BaseModel]) -> Iterator[Field]:
    """The words that a model takes; those that are known and do not act yet are left out."""
    schemas = model.model_json_schema()["properties"]
    for name, field in model.model_fields.items():
        if not field.exclude:
            word = str(field.alias or name)
            text = " ".join((field.description or "").split())
            default = _default(field, schemas[word])
            yield Field(word, _type(schemas[word]), field.is_required(), default, text)


def nested(model: type[BaseModel]) -> Iterator[Mapping]:
    """The mappings in a model's fields, each followed by those in its own."""
    for field in model.model_fields.values():
        for each in _models(field.annotation) if not field.exclude else ():
            if each.model_fields:
                yield Mapping(each.__name__, " ".join((inspect.getdoc(each) or "").split()), tuple(fields(each)))
                yield from nested(each)


def _dedented(text: str) -> str:
    return inspect.cleandoc("\n" + text) if text else ""


def _first_line(module: str) -> str:
    """Of a module's docstring; empty where its text cannot be read."""
    try:
        found = find_spec(module.partition(":")[0])
        tree = ast.parse(Path(found.origin).read_text(encoding="utf-8")) if found and found.origin else None
    except (ImportError, OSError, SyntaxError, ValueError):
        return ""
    text = ast.get_docstring(tree) if tree else None
    return (text or "").partition("\n")[0]


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
    return NAMES.get(kind, str(kind))


def _default(field: FieldInfo, schema: dict[str, Any]) -> Any:
    if field.is_required():
        return None
    value = field.get_default(call_default_factory=True, validated_data={})
    return None if value is None or isinstance(value, BaseModel) else schema.get("default", value)


def _models(annotation: Any) -> list[type[BaseModel]]:
    return [model for model in _all_models(annotation) if not model.__module__.startswith(CONDITIONS)]


def _all_models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _all_models(argument)]
