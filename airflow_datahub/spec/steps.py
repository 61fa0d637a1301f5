"""One step of the YAML to its model, adapters and operators included."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, Field

from airflow_datahub import adapters
from airflow_datahub.adapters import AdapterNotFound, Kind
from airflow_datahub.conditions.condition import Condition
from airflow_datahub.contract import Adapter, Sink, Source, Transform
from airflow_datahub.spec import future
from airflow_datahub.spec.document import Node
from airflow_datahub.spec.fields import Known, check_fields
from airflow_datahub.spec.findings import Findings, shown
from airflow_datahub.spec.graph import Place
from airflow_datahub.spec.step_types import (
    AnyStep,
    EnrichStep,
    ExtractStep,
    GateStep,
    LoadStep,
    MergeStep,
    Operator,
    RouteStep,
    TransformStep,
    ValidateStep,
)
from airflow_datahub.spec.words import OnError, Word, near

A = TypeVar("A", bound=Adapter)

TYPES: dict[str, type[AnyStep]] = {
    "extract": ExtractStep,
    "transform": TransformStep,
    "validate": ValidateStep,
    "enrich": EnrichStep,
    "route": RouteStep,
    "merge": MergeStep,
    "gate": GateStep,
    "load": LoadStep,
}
_KINDS: dict[str, tuple[Kind, type[Adapter]]] = {"extract": ("sources", Source), "load": ("sinks", Sink)}

ENRICHING = frozenset(
    {
        "set",
        "copy",
        "rename",
        "remove",
        "map",
        "template",
        "hash",
        "uuid",
        "pick",
        "omit",
        "default",
        "coalesce",
        "nest",
        "flatten_keys",
        "mask",
        "encrypt",
        "decrypt",
        "lookup",
        "http_lookup",
        "sql_lookup",
        "reference",
    }
)
"""The operators of an enrich step: the groups data and lookup of the catalogue."""


class _OfOperator(Word):
    """What stands beside an operator's own fields."""

    on_error: OnError | None = None
    condition: Condition | None = Field(default=None, alias="if")


def read_step(node: Node, known: Known, templated: bool, findings: Findings) -> tuple[Place | None, AnyStep | None]:
    """Where the step stands in the graph, if it has a key, and the step itself if nothing is wrong with it."""
    if not isinstance(node.value, dict):
        findings.at(node, f"a step wants a mapping of key, type and more, not {shown(node.raw)}")
        return None, None
    kind = _type(node, findings)
    reader = _StepReader(node, known, templated, findings)
    key = node.value.get("key")
    place = Place(key, kind or "", node) if isinstance(key, str) and key else None
    if kind is None:
        reader.key_alone()
        return place, None
    return place, reader.step(kind)


def _type(node: Node, findings: Findings) -> str | None:
    kind = node.value.get("type")
    if kind is None:
        findings.at(node, f"'type' is missing: one of {', '.join(TYPES)}")
    elif not isinstance(kind, str) or kind not in TYPES:
        known = isinstance(kind, str) and kind in future.STEP_TYPES
        nearest = near(str(kind), (*TYPES, *future.STEP_TYPES))
        message = future.not_yet(f"the step type {kind!r}") if known else f"no step type {shown(kind)}{nearest}"
        findings.at(node.children["type"], message)
    else:
        return kind
    return None


class _StepReader:
    def __init__(self, node: Node, known: Known, templated: bool, findings: Findings):
        self._node = node
        self._known = known
        self._templated = templated
        self._findings = findings

    def key_alone(self) -> None:
        """Check the key of a step about which nothing else can be said."""
        words = {word: self._node.value[word] for word in ("key",) if word in self._node.value}
        self._findings.validated(ExtractStep, self._node, {**words, "adapter": "-", "config": Source()}, "step")

    def step(self, kind: str) -> AnyStep | None:
        """The step, or None with problems noted."""
        before = len(self._findings.problems)
        words = {k: v for k, v in self._findings.present("step", self._node).items() if v is not None or k == "key"}
        if kind in ("transform", "enrich"):
            words["operators"] = self._operators(kind)
        elif kind in _KINDS:
            words["config"] = self._config(words, *_KINDS[kind])
        step = self._findings.validated(TYPES[kind], self._node, words, "step")
        self._check_texts(step)
        return step if len(self._findings.problems) == before else None

    def _check_texts(self, step: AnyStep | None) -> None:
        if step and self._templated:
            settings = step.model_copy(update={"source": None, "sink": None, "operators": ()})
            check_fields(settings, self._node, self._findings, self._known, "step")

    def _config(self, words: dict[str, Any], kind: Kind, base: type[Adapter]) -> Adapter:
        """The adapter with its fields; the bare base class where there is none, so that the rest can be checked."""
        name = words.get("adapter")
        node = self._node.children.get("config")
        if not isinstance(name, str) or not name:
            return base()
        adapter = self._adapter(kind, name, self._node.children["adapter"])
        if adapter is None:
            return base()
        if node is None or node.value is None:
            return self._filled(adapter, node or self._node, {}, "config") or base()
        return self._filled(adapter, node, node.value, "config") or base()

    def _adapter(self, kind: Kind, name: str, at: Node) -> type[Adapter] | None:
        try:
            return adapters.load(kind, name)
        except AdapterNotFound as error:
            self._findings.at(at, _not_found(kind, name, error))
        except Exception as error:  # whatever goes wrong in somebody's module belongs to this one spec
            message = f"the {kind[:-1]} {name!r} cannot be imported: {type(error).__name__}: {str(error)[:200]}"
            self._findings.at(at, message)
        return None

    def _filled(self, adapter: type[A], node: Node, values: Any, name: str) -> A | None:
        filled = self._findings.validated(adapter, node, values, name)
        if isinstance(filled, BaseModel):
            check_fields(filled, node, self._findings, self._known, name)
        return filled

    def _operators(self, kind: str) -> tuple[Operator, ...]:
        node = self._node.children.get("operators")
        if node is None or not isinstance(node.value, list):
            message = "'operators' wants a list such as [{rename: {from: a, to: b}}]"
            self._findings.at(node or self._node, message)
            return ()
        read = [self._operator(child, kind) for child in node.children.values()]
        return tuple(operator for operator in read if operator)

    def _operator(self, node: Node, kind: str) -> Operator | None:
        if not isinstance(node.value, dict) or len(node.value) != 1:
            self._findings.at(
                node, f"an operator wants a mapping of one name, such as rename: {{from: a, to: b}}{_hint(node)}"
            )
            return None
        ((name, child),) = node.children.items()
        name = str(name)
        transform = self._adapter("transforms", name, Node(*node.keys[name], name, name))
        if transform is None:
            return None
        if kind == "enrich" and name not in ENRICHING and ":" not in name:
            self._findings.at_key(node, name, f"{name!r} does not enrich: put it into a step of the type transform")
            return None
        if not isinstance(child.value, dict | None):
            self._findings.at(child, f"{name!r} wants a mapping of its fields, not {shown(child.raw)}")
            return None
        return self._with_policy(name, transform, child)

    def _with_policy(self, name: str, transform: type[Adapter], node: Node) -> Operator | None:
        words = dict(node.value or {})
        policy = {word: words.pop(word) for word in ("on_error", "if") if word in words}
        beside = self._findings.validated(_OfOperator, node, policy, name) if policy else _OfOperator()
        filled = self._filled(transform, node, words, name)
        if beside is None or not isinstance(filled, Transform):
            return None
        return Operator.model_construct(
            name=name, transform=filled, on_error=beside.on_error, condition=beside.condition
        )


def _hint(node: Node) -> str:
    return f", not {shown(node.raw)}" if not isinstance(node.value, dict) else f", not of {len(node.value)}"


def _not_found(kind: Kind, name: str, error: AdapterNotFound) -> str:
    if name in future.ADAPTERS[kind].split():
        there = ", ".join(sorted(adapters.names(kind)))
        return future.not_yet(f"the {_called(kind)} {name!r}", f"there are {there}" if there else "there is none")
    return str(error)


def _called(kind: Kind) -> str:
    return {"sources": "source", "transforms": "operator", "sinks": "sink"}[kind]
