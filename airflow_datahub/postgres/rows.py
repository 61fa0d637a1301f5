"""Records as PostgreSQL's COPY text: column by column over a slice of rows, so that the work is done in C.

A slice is encoded optimistically; one that cannot be goes value by value, which finds the records to refuse.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, auto
from operator import itemgetter
from typing import Any
from uuid import UUID

import msgspec

from airflow_datahub.contract import Batch, Record, Refusal

SLICE = 1_000
"""Rows encoded at once: about 256 kB of ordinary records, which is what one write of a COPY should carry."""

NULL = "\\N"

_INDEX = re.compile(r"[0-9]{1,9}")

Lines = list[bytes]
"""COPY text, one element a slice; each line is one row, its first field the record's index."""

_UNENCODABLE = (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError)
_JSON = msgspec.json.Encoder(decimal_format="number")
_STRICT = json.JSONEncoder(allow_nan=False, skipkeys=True, default=lambda _: None)
"""Refuses NaN, which msgspec writes as null."""


class Shape(Enum):
    """How a value is written, by the type of its column."""

    TEXT = auto()
    JSON = auto()
    ARRAY = auto()
    JSON_ARRAY = auto()

    @classmethod
    def of(cls, type: str) -> Shape:
        """The shape for a type as PostgreSQL writes it."""
        if type.endswith("[]"):
            return cls.JSON_ARRAY if type.startswith("json") else cls.ARRAY
        return cls.JSON if type in ("json", "jsonb") else cls.TEXT


@dataclass(frozen=True, slots=True)
class Slot:
    """A column that is written, and where a record holds its value."""

    name: str
    shape: Shape
    path: tuple[str, ...]
    """Empty: the record as the source gave it."""


def copy_text(batch: Batch, indices: Sequence[int], slots: Sequence[Slot]) -> tuple[Lines, list[Refusal]]:
    """The records at these indices as COPY text, and those that cannot be written as such."""
    lines: Lines = []
    refused: list[Refusal] = []
    for start in range(0, len(indices), SLICE):
        part = indices[start : start + SLICE]
        try:
            lines.append(_block(batch, part, slots))
        except _UNENCODABLE:
            good = _good(batch, part, slots, refused)
            if good:
                lines.append(_block(batch, good, slots))
    return lines, refused


def values_at(records: Sequence[Record], path: tuple[str, ...]) -> list[Any]:
    """The values at a path, None where a record has none."""
    if len(path) > 1:
        return [_reached(record, path) for record in records]
    try:
        return list(map(itemgetter(path[0]), records))
    except KeyError:
        name = path[0]
        return [record.get(name) for record in records]


def texts(values: Sequence[Any], shape: Shape) -> list[str]:
    """The values of one column as fields of COPY text. Raises one of _UNENCODABLE if any of them cannot be written."""
    types = set(map(type, values))
    if shape is Shape.JSON:
        return _json_texts(values, types)
    if types == {str}:
        return _escaped(values)
    if types <= {int, float}:
        return list(map(repr, values))
    convert = _CONVERTERS[shape]
    escaped = _escaped(["" if value is None else convert(value) for value in values])
    return _with_nulls(escaped, values) if type(None) in types else escaped


def safe_texts(values: Sequence[Any], shape: Shape) -> list[Any]:
    """As `texts`, for comparing: what cannot be written is equal to nothing."""
    try:
        return list(texts(values, shape))
    except _UNENCODABLE:
        return [_one(value, shape) or object() for value in values]


def _one(value: Any, shape: Shape) -> str | None:
    try:
        return texts([value], shape)[0]
    except _UNENCODABLE:
        return None


def _block(batch: Batch, indices: Sequence[int], slots: Sequence[Slot]) -> bytes:
    records = _taken(batch.records, indices)
    columns = [_column(batch, records, indices, slot) for slot in slots]
    rows = map("\t".join, zip(map(repr, indices), *columns, strict=True))
    return ("\n".join(rows) + "\n").encode()


def _column(batch: Batch, records: Sequence[Record], indices: Sequence[int], slot: Slot) -> list[str]:
    if slot.path:
        return texts(values_at(records, slot.path), slot.shape)
    origins = records if batch.origins is None else _taken(batch.origins, indices)
    return texts([_raw(origin) for origin in origins], slot.shape)


def _taken(items: Sequence[Any], indices: Sequence[int]) -> Sequence[Any]:
    if isinstance(indices, range):
        return items[indices.start : indices.stop]
    return [items[index] for index in indices]


def _raw(origin: Any) -> Any:
    """JSON bytes marked as such; in a field, bytes are bytes."""
    return msgspec.Raw(origin) if isinstance(origin, bytes | memoryview) else origin


def _good(batch: Batch, indices: Sequence[int], slots: Sequence[Slot], refused: list[Refusal]) -> list[int]:
    """The indices that can be written; the others are appended to `refused` with their first bad column."""
    good = []
    for index in indices:
        for slot in slots:
            try:
                _column(batch, [batch.records[index]], [index], slot)[0].encode()
            except _UNENCODABLE as error:
                refused.append(Refusal(index, _reason(error), slot.name))
                break
        else:
            good.append(index)
    return good


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeEncodeError):
        return "text holds half of a surrogate pair, which UTF-8 cannot carry"
    if isinstance(error, UnicodeDecodeError):
        return "the record's bytes are not UTF-8"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return f"cannot be written: {error}"[:200]


def _reached(value: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and _INDEX.fullmatch(part) and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def _escaped(values: Sequence[str]) -> list[str]:
    """All values escaped at once where none holds a line break, else each by itself."""
    joined = "\n".join(values)
    if joined.count("\n") >= len(values):
        return [_escape(value).replace("\n", "\\n") for value in values]
    escaped = _escape(joined)
    return list(values) if len(escaped) == len(joined) else escaped.split("\n")


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\r", "\\r")


def _with_nulls(fields: list[str], values: Sequence[Any]) -> list[str]:
    return [NULL if value is None else field for field, value in zip(fields, values, strict=True)]


def _json_texts(values: Sequence[Any], types: set[type]) -> list[str]:
    text = _JSON.encode_lines(values).decode()
    if "null" in text:
        _refuse_not_a_number(values)
    fields = _escape(text).split("\n")
    fields.pop()
    if len(fields) != len(values):  # raw JSON with line breaks between its tokens
        fields = [_escape(_json_text(value)).replace("\n", "\\n") for value in values]
    return _with_nulls(fields, values) if type(None) in types else fields


def _refuse_not_a_number(values: Sequence[Any]) -> None:
    for value in values:
        if value is not None and not isinstance(value, msgspec.Raw):
            try:
                _STRICT.encode(value)
            except ValueError:
                raise ValueError("JSON has no NaN and no infinity") from None


def _json_text(value: Any) -> str:
    return _JSON.encode(value).decode()


def _plain(value: Any) -> str:
    convert = _PLAIN.get(type(value))
    if convert is not None:
        return convert(value)
    return str(value) if isinstance(value, str) else texts([value], Shape.JSON)[0]


def _array(value: Any) -> str:
    if not isinstance(value, list | tuple):
        return _plain(value)
    return "{" + ",".join(_element(each, _array if isinstance(each, list | tuple) else _plain) for each in value) + "}"


def _json_array(value: Any) -> str:
    if not isinstance(value, list | tuple):
        return _plain(value)
    return "{" + ",".join(_element(each, _json_text) for each in value) + "}"


def _element(value: Any, convert: Callable[[Any], str]) -> str:
    if value is None:
        return "NULL"
    text = convert(value)
    return text if convert is _array else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _interval(value: timedelta) -> str:
    return f"{value.days} days {value.seconds} seconds {value.microseconds} microseconds"


_CONVERTERS: dict[Shape, Callable[[Any], str]] = {
    Shape.TEXT: _plain,
    Shape.ARRAY: _array,
    Shape.JSON_ARRAY: _json_array,
}
_PLAIN: dict[type, Callable[[Any], str]] = {
    str: str,
    bool: lambda value: "true" if value else "false",
    int: repr,
    float: repr,
    Decimal: str,
    UUID: str,
    datetime: datetime.isoformat,
    date: date.isoformat,
    time: time.isoformat,
    timedelta: _interval,
    bytes: lambda value: "\\x" + value.hex(),
    memoryview: lambda value: "\\x" + value.hex(),
    msgspec.Raw: lambda value: bytes(value).decode(),
}
