"""Plain values to the YAML that this package reads back as the same values."""

from __future__ import annotations

import io
import math
import re
import textwrap
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, Literal, get_args, get_origin
from uuid import UUID

import yaml
from pydantic import BaseModel

from airflow_datahub.quantities import shortest
from airflow_datahub.spec.document import FRACTION, OTHER_BASE


def written(value: Any) -> str:
    """The value as YAML; ValueError for what a spec cannot hold."""
    made = _Dumper(io.StringIO(), default_flow_style=None, sort_keys=False)
    node = made.represent_data(plain(value))
    for each in (node, *(node.value if isinstance(node, yaml.SequenceNode) else ())):
        each.flow_style = False
    return str(yaml.serialize(node, Dumper=_Dumper, allow_unicode=True, width=110))


def item(value: Any) -> str:
    """The value as one item of a list that is a member of a mapping."""
    return textwrap.indent(written([value]), "  ")


def fenced(text: str, language: str = "yaml") -> str:
    """A block of code; the fence is longer than any run of backticks in the text."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text.strip(chr(10))}\n{fence}"


def plain(value: Any) -> Any:
    """The value as YAML's own kinds; ValueError for what a spec cannot hold."""
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is no number that a pipeline can hold")
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, BaseModel):
        return plain(dumped(value))
    if isinstance(value, Mapping):
        return {_key(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return _text(value)


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise ValueError(f"a key is text, not {key!r:.80}")
    return key


def _text(value: Any) -> str:
    if isinstance(value, timedelta):
        return shortest(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, PurePath | Decimal | UUID):
        return str(value)
    raise ValueError(f"a pipeline holds text, numbers, lists and mappings, not {type(value).__name__}")


def dumped(model: BaseModel) -> dict[str, Any]:
    """The fields of a model that were given, by their YAML names, and those that tell it from others of its kind."""
    as_given = model.model_dump(by_alias=True)
    named = {field.alias or name: (name, field) for name, field in type(model).model_fields.items()}
    return {
        word: _as_given(getattr(model, name), as_given[word])
        for word, (name, field) in named.items()
        if name in model.model_fields_set or _tells(field.annotation)
    }


def _tells(annotation: Any) -> bool:
    """Whether it is the one word by which a union knows its members, as in `type: cursor`."""
    return get_origin(annotation) is Literal and len(get_args(annotation)) == 1


def _as_given(value: Any, serialised: Any) -> Any:
    if isinstance(value, BaseModel):
        return dumped(value)
    if isinstance(value, Mapping) and isinstance(serialised, Mapping):
        return {key: _as_given(value[key], each) for key, each in serialised.items()}
    if isinstance(value, list | tuple) and isinstance(serialised, list | tuple):
        return [_as_given(each, its) for each, its in zip(value, serialised, strict=True)]
    return serialised


class _Dumper(yaml.SafeDumper):
    """PyYAML writes YAML 1.1, this package reads 1.2: text that either would take for more than text is quoted."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_NUMBER = re.compile(f"(?:{FRACTION.pattern}|{OTHER_BASE.pattern})\\Z")
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, list("-+.0123456789"))
