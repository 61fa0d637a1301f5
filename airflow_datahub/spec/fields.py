"""What may stand in an adapter's fields beyond what its types say: templates only where they act, secrets never."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel, SecretBytes, SecretStr

from airflow_datahub.contract import TemplateMark
from airflow_datahub.spec.document import Node
from airflow_datahub.spec.findings import Findings, Path, descend, find, named
from airflow_datahub.spec.words import near

_BARE = (bool, int, float, type(None))
"""What most fields hold."""

NAMES = ("params", "run_id")
"""What a template can name."""

_ONE_PARAM = re.compile(r"\{\{ *params\.(\w+) *\}\}")

LATER = ("partition", "data_interval_start", "data_interval_end")
"""What it can name once partitions and intervals act."""


def check_fields(adapter: BaseModel, node: Node, findings: Findings, params: Mapping[str, Any], name: str) -> None:
    """Note every template that would not be rendered or cannot be, and every secret written out."""
    for path, text, templated in _texts(adapter, ()):
        for mistake in _mistakes(text, templated, params):
            place = find(node, path)
            findings.at(descend(node, place), f"{named(place, name)!r}{mistake}")


def _mistakes(text: Any, templated: bool, params: Mapping[str, Any]) -> list[str]:
    """What is wrong with one text or secret, as the end of a sentence that its name begins."""
    if isinstance(text, SecretStr | SecretBytes):
        return [" is a secret; put it into an Airflow connection, not into the spec"]
    if not templated:
        return [" is not rendered: '{{ … }}' does not act in this field"]
    return [f": {mistake}" for mistake in template_mistakes(text, params)]


def is_template(text: str) -> bool:
    """Whether Jinja would find anything in it."""
    return "{{" in text or "{%" in text


def template_mistakes(text: str, params: Mapping[str, Any]) -> list[str]:
    """What is wrong with a template: its syntax, its filters, the names and params that it uses."""
    if (param := _ONE_PARAM.fullmatch(text)) and param[1] in params:
        return []  # nearly every template; importing Jinja takes longer than all the rest of a lint
    from jinja2 import TemplateSyntaxError, meta, nodes
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment()
    try:
        tree = environment.parse(text)
        environment.compile(tree, raw=True)  # finds filters that do not exist
    except TemplateSyntaxError as error:
        return [f"the template is wrong: {error.message}"]
    except (RecursionError, SyntaxError, ValueError, MemoryError):
        return ["the template is too deep"]
    unknown = meta.find_undeclared_variables(tree) - set(NAMES) - set(environment.globals)
    used = [n.attr for n in tree.find_all(nodes.Getattr) if isinstance(n.node, nodes.Name) and n.node.name == "params"]
    return [_no_name(name) for name in sorted(unknown)] + [
        f"no param {name!r}{near(name, params)}"
        for name in dict.fromkeys(used)
        if name not in params and not hasattr(dict, name)
    ]


def _no_name(name: str) -> str:
    if name in LATER:
        return f"{name!r} does not yet act in templates: there are {' and '.join(NAMES)}"
    return f"a template knows no {name!r}{near(name, NAMES)}; there are {' and '.join(NAMES)}"


def _texts(model: BaseModel, path: Path, top: bool = True) -> Iterator[tuple[Path, Any, bool]]:
    """Every template and secret in a model's fields, with its path, and whether it is rendered.

    Only the adapter's own fields are, not those of models inside it. Where Any stands, data may stand that is nobody's
    template."""
    values = model.__dict__
    for name, word, marked, data in _fields(model.__class__):
        value, templated = values[name], top and marked
        if value.__class__ not in _BARE and (templated or not data or isinstance(value, str)):
            yield from _leaves(value, (*path, word), templated)


@cache
def _fields(model: type[BaseModel]) -> list[tuple[str, str, bool, bool]]:
    """Each field's name, its name in the YAML, whether it is marked as templated, and whether it may hold any data."""
    return [
        (
            name,
            field.alias or name,
            any(isinstance(m, TemplateMark) for m in field.metadata),
            _has_any(field.annotation),
        )
        for name, field in model.model_fields.items()
    ]


def _leaves(value: Any, path: Path, templated: bool) -> Iterator[tuple[Path, Any, bool]]:
    if isinstance(value, str):
        if is_template(value):
            yield path, value, templated
    elif isinstance(value, SecretStr | SecretBytes):
        yield path, value, templated
    elif isinstance(value, BaseModel):
        yield from _texts(value, path, top=False)
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _leaves(each, (*path, key), templated)
    elif isinstance(value, list | tuple):
        for index, each in enumerate(value):
            yield from _leaves(each, (*path, index), templated)


def _has_any(annotation: Any) -> bool:
    return annotation is Any or any(map(_has_any, get_args(annotation)))
