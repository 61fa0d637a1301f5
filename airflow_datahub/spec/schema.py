"""The grammar as JSON Schema, with every adapter that is installed here, so that editors complete and check."""

from __future__ import annotations

import sys
from inspect import cleandoc
from typing import Any, get_args

from pydantic import BaseModel, Field

from airflow_datahub import adapters
from airflow_datahub.adapters import Kind
from airflow_datahub.conditions.condition import Condition
from airflow_datahub.spec.future import WORDS
from airflow_datahub.spec.models import Definition, Edge
from airflow_datahub.spec.steps import ENRICHING, TYPES
from airflow_datahub.spec.words import OnError

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_IMPORT_PATH = r"^[^:]+:[^:]+$"
_POLICY = {
    "description": "What becomes of a record that this operator cannot serve; else what the step says.",
    "enum": [*get_args(OnError), None],
}
_ADAPTERS: dict[str, Kind] = {"extract": "sources", "load": "sinks"}


class _Condition(BaseModel):
    condition: Condition | None = Field(default=None, alias="if", description="Only records for which it holds.")


def json_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of a spec, third parties' adapters and operators included.

    It is a little narrower than the loader: `${NAME}` in a number's place is right and does not fit it."""
    definitions: dict[str, Any] = {}
    schema = _with_defaults(_flat(Definition, definitions), "pipeline")
    definitions["Step"] = _step(definitions)
    steps = {"description": "The steps, in order.", "type": "array", "minItems": 1, "items": _to("Step")}
    edges = {"description": "Every connection; none: steps follow one another.", "type": ["array", "null"]}
    schema["properties"] |= {"steps": steps, "edges": edges | {"items": _edge(definitions)}}
    schema["properties"]["params"] = _params(schema["properties"]["params"])
    schema["required"] = ["version", "steps"]
    return {"$schema": DIALECT, **schema, "title": "airflow-datahub pipeline", "$defs": definitions}


def _step(definitions: dict[str, Any]) -> dict[str, Any]:
    operators = _operators(definitions)
    for kind, model in TYPES.items():
        if kind in _ADAPTERS:
            definitions[model.__name__] = _with_adapters(model, _ADAPTERS[kind], definitions)
        elif "operators" in model.model_fields:
            known = {name: own for name, own in operators.items() if kind != "enrich" or name in ENRICHING}
            definitions[model.__name__] = _with_operators(model, known, definitions)
        else:
            definitions[model.__name__] = _envelope(model, definitions)
    return {
        "type": "object",
        "required": ["key", "type"],
        "properties": {"type": {"enum": list(TYPES)}},
        "allOf": [_if("type", {"const": kind}, _to(model.__name__)) for kind, model in TYPES.items()],
    }


def _with_adapters(step: type[BaseModel], kind: Kind, definitions: dict[str, Any]) -> dict[str, Any]:
    schema = _envelope(step, definitions)
    known = sorted(adapters.names(kind))
    schema["properties"]["adapter"] |= {"anyOf": [{"enum": known}, {"pattern": _IMPORT_PATH}]}
    schema["properties"]["config"] = {"description": "The adapter's own fields.", "type": ["object", "null"]}
    schema["required"] = ["key", "type", "adapter"]
    schema["allOf"] = [_adapter_rule(kind, name, definitions) for name in known]
    return schema


def _adapter_rule(kind: Kind, name: str, definitions: dict[str, Any]) -> dict[str, Any]:
    own = _adapter(kind, name, definitions)
    rule: dict[str, Any] = {"properties": {"config": own}}
    if definitions[f"{kind}.{name}"].get("required"):
        rule |= {"required": ["config"]}
    return _if("adapter", {"const": name}, rule)


def _operators(definitions: dict[str, Any]) -> dict[str, Any]:
    """All operators, each with what stands beside its own fields."""
    operators = {name: _adapter("transforms", name, definitions) for name in sorted(adapters.names("transforms"))}
    beside = {"on_error": _POLICY, "if": _flat(_Condition, definitions, prefix="steps.")["properties"]["if"]}
    for name in operators:
        definitions[f"transforms.{name}"].setdefault("properties", {}).update(beside)
    return operators


def _with_operators(step: type[BaseModel], operators: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    schema = _envelope(step, definitions)
    schema["properties"]["operators"] = {
        "description": "The operators, in order: each a mapping of its name to its fields.",
        "type": "array",
        "items": {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "properties": operators,
            "patternProperties": {_IMPORT_PATH: {"type": ["object", "null"]}},
            "additionalProperties": False,
        },
    }
    schema["required"] = ["key", "type", "operators"]
    return schema


def _adapter(kind: Kind, name: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """A reference to the adapter's schema, made here; what cannot be imported here may hold anything."""
    at = f"{kind}.{name}"
    definitions[at] = {"type": "object"}
    try:
        own = _flat(adapters.load(kind, name), definitions, prefix=f"{at}.")
    except Exception as error:  # a missing extra, or somebody's broken adapter: the others still complete
        definitions[at] = {"type": "object", "description": f"cannot be imported here: {str(error)[:200]}"}
    else:
        definitions[at] = own
    return _to(at) if definitions[at].get("required") else {"anyOf": [_to(at), {"type": "null"}]}


def _envelope(step: type[BaseModel], definitions: dict[str, Any]) -> dict[str, Any]:
    """A step's schema; adapters and operators are put in by who asks."""
    schema = _flat(step, definitions, prefix="steps.")
    for base in ("Source", "Sink", "Transform", "Operator"):
        definitions.pop(f"steps.{base}", None)
    schema["required"] = sorted({"type", *schema.get("required", ())})
    return _with_defaults(schema, "step")


def _flat(model: type[BaseModel], definitions: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A model's schema; the definitions that it refers to are put beside the others, under a prefix."""
    schema = model.model_json_schema(by_alias=True, ref_template=f"#/$defs/{prefix}{{model}}")
    for name, definition in schema.pop("$defs", {}).items():
        definitions[f"{prefix}{name}"] = definition
    if model.__doc__ is None or model.__module__.startswith("airflow_datahub.adapters"):
        schema |= _described(model)
    return schema


def _described(model: type[BaseModel]) -> dict[str, Any]:
    """An adapter is described by its module."""
    text = cleandoc(sys.modules[model.__module__].__doc__ or "").partition("\nExample:")[0].strip()
    return {"description": text} if text else {}


def _with_defaults(schema: dict[str, Any], place: str) -> dict[str, Any]:
    """The words that do not act yet may be given the value that changes nothing."""
    schema.setdefault("properties", {}).update({word: {"enum": _harmless(d)} for word, (d, _) in WORDS[place].items()})
    return schema


def _harmless(default: Any) -> list[Any]:
    return [default] if default is None else [default, None]


def _edge(definitions: dict[str, Any]) -> dict[str, Any]:
    return _flat(Edge, definitions)


def _params(schema: dict[str, Any]) -> dict[str, Any]:
    """A param is a JSON Schema or a bare default."""
    anything = {"anyOf": [{"$ref": DIALECT}, {"not": {"type": "object"}}]}
    return {**schema, "additionalProperties": anything}


def _to(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}"}


def _if(word: str, value: dict[str, Any], then: dict[str, Any]) -> dict[str, Any]:
    return {"if": {"properties": {word: value}, "required": [word]}, "then": then}
