"""What may stand in an adapter's fields beyond what its types say: templates only where they act, secrets never."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel, SecretBytes, SecretStr

from airflow_datahub.contract import TemplateMark
from airflow_datahub.spec.document import Node
from airflow_datahub.spec.findings import Findings, Path, descend, find, named
from airflow_datahub.spec.words import near

_BARE = (bool, int, float, type(None))
"""What most fields hold."""

Known = Mapping[str, Collection[str] | None]
"""What a template can name, and what behind a dot; None: nothing."""

_ONE_PARAM = re.compile(r"\{\{ *params\.(\w+) *\}\}")
_PARTITION = re.compile(r"\{[{%][^}]*\bpartition\b")

LATER = ("data_interval_start", "data_interval_end")
"""What it can name once intervals act."""


def known_names(params: Collection[str], of_partition: Collection[str] = ()) -> Known:
    """What the templates of a pipeline can name; `of_partition`: what they may say of a partition, where there are."""
    return {"params": params, "run_id": None} | ({"partition": of_partition} if of_partition else {})


def check_fields(adapter: BaseModel, node: Node, findings: Findings, known: Known, name: str) -> None:
    """Note every template that would not be rendered or cannot be, and every secret written out."""
    for path, text, templated in _texts(adapter, ()):
        for mistake in _mistakes(text, templated, known):
            place = find(node, path)
            findings.at(descend(node, place), f"{named(place, name)!r}{mistake}")


def _mistakes(text: Any, templated: bool, known: Known) -> list[str]:
    """What is wrong with one text or secret, as the end of a sentence that its name begins."""
    if isinstance(text, SecretStr | SecretBytes):
        return [" is a secret; put it into an Airflow connection, not into the spec"]
    if not templated:
        return [" is not rendered: '{{ … }}' does not act in this field"]
    return [f": {mistake}" for mistake in template_mistakes(text, known)]


def names_partition(adapter: BaseModel) -> bool:
    """Whether a template in its fields names the partition."""
    texts = (text for _, text, templated in _texts(adapter, ()) if templated and isinstance(text, str))
    return any(_PARTITION.search(text) for text in texts)


def is_template(text: str) -> bool:
    """Whether Jinja would find anything in it."""
    return "{{" in text or "{%" in text


def template_mistakes(text: str, known: Known) -> list[str]:
    """What is wrong with a template: its syntax, its filters, the names and params that it uses."""
    if (param := _ONE_PARAM.fullmatch(text)) and param[1] in (known["params"] or ()):
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
    unknown = meta.find_undeclared_variables(tree) - known.keys() - set(environment.globals)
    used = [(n.node.name, n.attr) for n in tree.find_all(nodes.Getattr) if isinstance(n.node, nodes.Name)]
    return [_no_name(name, known) for name in sorted(unknown)] + [
        f"no {'param' if of == 'params' else of} {name!r}{near(name, names)}"
        for of, name in dict.fromkeys(used)
        if (names := known.get(of)) is not None and name not in names and not hasattr(dict, name)
    ]


def _no_name(name: str, known: Known) -> str:
    there = " and ".join(known)
    if name in LATER:
        return f"{name!r} does not yet act in templates: there are {there}"
    if name == "partition":
        return "a template knows 'partition' where the extract step has a `partition`"
    return f"a template knows no {name!r}{near(name, known)}; there are {there}"


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
