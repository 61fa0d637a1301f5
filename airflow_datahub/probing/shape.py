"""What an answer is made of: where its list of records is, and what their fields hold."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from airflow_datahub.errors import ConfigurationError
from airflow_datahub.http.client import Answer
from airflow_datahub.http.page import MARK

Path = tuple[str, ...]

DEEPEST = 4
"""Levels of objects that are looked into."""

USUAL = ("data", "items", "results", "records", "rows", "entries", "value", "values", "list", "content", "hits")
"""Names of lists of records, the most usual first."""


@dataclass(frozen=True, slots=True)
class Records:
    """The list of records in an answer."""

    path: str
    """Dotted; empty where the answer is the list."""
    items: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the records."""

    path: str
    """Dotted."""
    types: tuple[str, ...]
    """Without null, in the order in which they came."""
    empty: float
    """Share of the records (from 0 to 1) in which it is null or missing."""


def document(answer: Answer) -> Any:
    """The JSON of an answer. Raises ConfigurationError that says what it is instead."""
    body = bytes(answer.body).removeprefix(MARK).strip()
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        raise ConfigurationError(f"{answer.shown}: {_instead(body, answer)}") from None


def _instead(body: bytes, answer: Answer) -> str:
    if not body:
        return "the answer is empty"
    if body.startswith(b"<"):
        return "the answer is HTML or XML and not JSON: a login page, or a path that is not the API's?"
    if _is_lines(body):
        return "the answer is one JSON value a line (NDJSON), which `http_api` does not read: ask for a JSON list"
    return f"the answer is not JSON (it says {answer.content_type or 'no content type'!r}): {answer.start(80)!r}"


def _is_lines(body: bytes) -> bool:
    try:
        first, second, *_ = body.splitlines()
        return all(isinstance(msgspec.json.decode(line), dict | list) for line in (first, second))
    except (ValueError, RecursionError):
        return False


def records(answer: Any) -> Records:
    """The list that holds the records, most likely. Raises ConfigurationError where there is none."""
    if isinstance(answer, list):
        return Records("", answer)
    lists = [(path, value) for path, value in walk(answer) if isinstance(value, list) and path]
    if lists:
        path, items = max(lists, key=_likelihood)
        return Records(dotted(path), items)
    what = f"an object with {', '.join(map(repr, list(answer)[:20]))}" if isinstance(answer, dict) else "a single value"
    raise ConfigurationError(f"the answer has no list of records: it is {what}")


def _likelihood(found: tuple[Path, list[Any]]) -> tuple[bool, bool, int, int, int]:
    path, items = found
    name = path[-1].lower()
    rank = -USUAL.index(name) if name in USUAL else -len(USUAL)
    return bool(items) and isinstance(items[0], dict), name in USUAL, -len(path), rank, len(items)


def walk(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Everything in objects, and what is in lists not at all."""
    if isinstance(value, dict) and len(path) < DEEPEST:
        for name, child in value.items():
            if name:  # no path names an empty one
                yield from walk(child, (*path, name))
    else:
        yield path, value


def dotted(path: Path) -> str:
    """A path as specs write it."""
    return ".".join(re.sub(r"([\\.])", r"\\\1", name) for name in path)


def fields(items: Sequence[Any]) -> list[Field]:
    """The fields of records that are objects; of an object in them its fields, and not that it may be null."""
    seen: dict[Path, list[str]] = {}
    for item in items:
        for path, value in walk(item):
            if path:
                seen.setdefault(path, []).append(kind(value))
    holders = {path[:length] for path in seen for length in range(1, len(path))}
    told = {path: kinds for path, kinds in seen.items() if path not in holders or set(kinds) != {"null"}}
    return [_field(path, kinds, len(items)) for path, kinds in told.items()]


def _field(path: Path, kinds: list[str], count: int) -> Field:
    there = [each for each in kinds if each != "null"]
    return Field(dotted(path), tuple(dict.fromkeys(there)), 1 - len(there) / count)


def kind(value: Any) -> str:
    """The type of a JSON value, for a person."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "text (a date)" if _is_date(value) else "text"
        case list():
            return f"list of {' | '.join(dict.fromkeys(map(kind, value[:20])))}" if value else "empty list"
    return "object"


def _is_date(text: str) -> bool:
    if not re.match(r"\d{4}-\d\d-\d\d", text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
