"""The one renderer of `{{ … }}`: sandboxed Jinja, at run time, only in fields typed `Templated`.

A value that is exactly one expression keeps its type and null stays null; anything mixed becomes text. (Airflow's own
renderer turns null into the text `None`, its native mode turns `12345` into a number.)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_datahub.contract import Adapter, TemplateMark
from airflow_datahub.errors import ConfigurationError

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

    from airflow_datahub.spec import AnyStep

A = TypeVar("A", bound=Adapter)

_ONE_EXPRESSION = re.compile(r"\s*\{\{((?:(?!\}\}|\{\{).)*)\}\}\s*", re.DOTALL)


def rendered(adapter: A, values: Mapping[str, Any]) -> A:
    """The adapter with its templated fields filled in; ConfigurationError names the field that cannot be."""
    texts = rendered_texts(adapter, values)
    return adapter.model_copy(update=texts) if texts else adapter


def rendered_texts(adapter: Adapter, values: Mapping[str, Any]) -> dict[str, Any]:
    """What the templated fields of an adapter become, by field name."""
    return {name: _rendered(name, getattr(adapter, name), values) for name in _templated(type(adapter))}


def rendered_fields(steps: Iterable[AnyStep], values: Mapping[str, Any]) -> dict[str, Any]:
    """What a run asks for, as `step.field: value`: shown in Airflow's Rendered tab."""
    ends = [(step.key, getattr(step, "source", None) or getattr(step, "sink", None)) for step in steps]
    return {
        f"{key}.{name}": value
        for key, adapter in ends
        if adapter is not None
        for name, value in rendered_texts(adapter, values).items()
    }


def rendered_text(name: str, text: str, values: Mapping[str, Any]) -> Any:
    """What a template becomes that stands in the field of that name."""
    return _rendered(name, text, values)


def _templated(adapter: type[Adapter]) -> list[str]:
    return [
        name
        for name, field in adapter.model_fields.items()
        if any(isinstance(mark, TemplateMark) for mark in field.metadata)
    ]


def _rendered(name: str, value: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        return _text(name, value, values) if "{{" in value or "{%" in value else value
    if isinstance(value, Mapping):
        return {key: _rendered(f"{name}.{key}", each, values) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rendered(f"{name}.{i}", each, values) for i, each in enumerate(value)]
    return value


def _text(name: str, text: str, values: Mapping[str, Any]) -> Any:
    from jinja2 import TemplateError, Undefined

    environment = _environment()
    try:
        if whole := _ONE_EXPRESSION.fullmatch(text):
            value = environment.compile_expression(whole[1].strip(), undefined_to_none=False)(**values)
            return str(value) if isinstance(value, Undefined) else value  # the text of what is missing raises
        return environment.from_string(text).render(values)
    except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
        raise ConfigurationError(f"field {name!r}: {text!r} cannot be rendered: {error}") from error


@cache
def _environment() -> SandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
