"""What operators on lists know of the elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_datahub.paths import MISSING, FieldPath, getter
from airflow_datahub.texts import json_text

Key = FieldPath | None


def value_of(by: str | None) -> Callable[[Any], Any]:
    """The function that gives an element, or what is at a path in it: MISSING where nothing is."""
    if by is None:
        return lambda element: element
    get = getter(by)
    return lambda element: get(element) if element.__class__ is dict else MISSING


def key_of(field: str, by: str | None) -> Callable[[Any], bytes | None]:
    """The function that gives what equal elements have in common: None for all in which nothing is at the path."""
    value = value_of(by)

    def key(element: Any) -> bytes | None:
        found = value(element)
        return None if found is MISSING else json_text(field, found, canonical=True)

    return key
