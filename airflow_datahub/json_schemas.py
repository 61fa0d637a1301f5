"""JSON Schemas, compiled once: what is wrong with a record, each at its path. Nothing is fetched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from math import isfinite
from typing import Any, NamedTuple

MOST_NAMED = 20
"""Violations of a record that are named."""


class Violation(NamedTuple):
    """One thing that is wrong with a record."""

    reason: str
    field: str | None


def checker(schema: dict[str, Any]) -> Callable[[dict[str, Any]], Sequence[Violation]]:
    """The function that gives what is wrong with a record; the first twenty things are named.

    Draft 2020-12 unless the schema says another; formats are checked. Raises ValueError for a schema that is wrong."""
    import jsonschema_rs

    def refused(address: str) -> Any:
        raise ValueError(f"{address} is not fetched: write the schema as a whole, with `$defs`")

    try:
        validator = jsonschema_rs.validator_for(schema, validate_formats=True, retriever=refused)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        raise ValueError(f"not a JSON Schema: {str(error).splitlines()[0][:300]}") from error

    def check(record: dict[str, Any]) -> Sequence[Violation]:
        found: list[Violation] = []
        for each in validator.iter_errors(_plain(record)):
            if len(found) == MOST_NAMED:
                break
            path = ".".join(str(part).replace(".", "\\.") for part in each.instance_path)
            found.append(Violation(f"{path}: {each.message[:200]}" if path else each.message[:200], path or None))
        return found

    return check


def _plain(value: Any) -> Any:
    """What the library takes for JSON: it knows no number that is not finite and no half of a surrogate pair."""
    kind = value.__class__
    if kind is dict:
        return {_text(name): _plain(each) for name, each in value.items()}
    if kind is list:
        return [_plain(each) for each in value]
    if kind is str:
        return _text(value)
    return None if kind in (float, Decimal) and not isfinite(value) else value


def _text(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
