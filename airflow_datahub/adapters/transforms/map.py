"""Build a record anew: each field of it from a field of the old one, or a fixed value.

Example:
    map:
      fields:
        sku: product.id
        price.amount: product.price
        source: {value: shop}

Given:
    - {product: {id: p1, price: 9.5, color: red}, at: 1}

Gives:
    - {sku: p1, price: {amount: 9.5}, source: shop}
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from airflow_datahub.conditions.values import Constant
from airflow_datahub.contract import Function, Record, Run, Transform
from airflow_datahub.paths import MISSING, FieldPath, absent, getter, setter


class Fixed(BaseModel):
    """A fixed value."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    value: Constant
    """The value: any JSON."""


class Map(Transform):
    fields: Annotated[dict[FieldPath, FieldPath | Fixed], Field(min_length=1)]
    """Each new field, and the old one that it is made of, or `{value: …}`. What is missing there is missing here."""

    keep_rest: bool = False
    """Keep all old fields, too; the new ones take the place of old ones of the same name."""

    required: bool = False
    """Reject a record in which one of the old fields is missing or null."""

    def compile(self, run: Run) -> Function:
        ways = [(str(source), _reader(source), setter(target)) for target, source in self.fields.items()]

        def build(record: Record) -> Record:
            made: Record = dict(record) if self.keep_rest else {}
            for name, get, put in ways:
                value = get(record)
                if self.required and (value is None or value is MISSING):
                    raise absent(name)
                if value is not MISSING:
                    put(made, deepcopy(value) if value.__class__ in (list, dict) else value)
            return made

        return build


def _reader(source: str | Fixed) -> Callable[[Record], Any]:
    if isinstance(source, str):
        return getter(source)
    value = source.value
    return lambda record: value
