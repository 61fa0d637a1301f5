"""Records as PostgreSQL's COPY text: column by column over a slice of rows, so that the work is done in C.

A slice is encoded optimistically; one that cannot be goes value by value, which finds the records to refuse.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
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
NUL = "text holds a NUL character, which PostgreSQL cannot store"

_INDEX = re.compile(r"[0-9]{1,9}")

Lines = list[bytes]
"""COPY text, one element a slice; each line is one row, its first field the record's index."""

_UNENCODABLE = (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError)
_JSON = msgspec.json.Encoder(decimal_format="number")
_NOT_FINITE = re.compile(rb"\xcb[\x7f\xff][\xf0-\xff]")
"""NaN and the infinities in msgpack; it may be found in text, too."""
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


def in_writing_order(slots: Iterable[Slot]) -> tuple[Slot, ...]:
    """JSON last: it is joined as bytes behind the text of the others."""
    return tuple(sorted(slots, key=lambda slot: slot.shape is Shape.JSON))


def copy_text(batch: Batch, indices: Sequence[int], slots: Sequence[Slot]) -> tuple[Lines, list[Refusal]]:
    """The records at these indices as COPY text, and those that cannot be written as such; slots in writing order."""
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
        return [field.decode() for field in _json_fields(values)]
    if types == {str}:
        return _escaped(values)
    if types <= {int, float}:
        return list(map(repr, values))
    convert = _CONVERTERS[shape]
    escaped = _escaped(["" if value is None else convert(value) for value in values])
    return _with_nulls(escaped, values) if type(None) in types else escaped


def safe_texts(values: Sequence[Any], shape: Shape) -> list[Any]:
    """As `texts`, for comparing: what cannot be written is equal to nothing."""
    if set(map(type, values)) == {str}:
        return list(values)
    try:
        return list(texts(values, shape))
    except _UNENCODABLE:
        return [object() if (text := _one(value, shape)) is None else text for value in values]


def _one(value: Any, shape: Shape) -> str | None:
    try:
        return texts([value], shape)[0]
    except _UNENCODABLE:
        return None


def _block(batch: Batch, indices: Sequence[int], slots: Sequence[Slot]) -> bytes:
    records = _taken(batch.records, indices)
    plain = [slot for slot in slots if slot.shape is not Shape.JSON]
    heads = _joined(records, indices, plain) or _heads(
        indices, [_values(batch, records, indices, slot) for slot in plain], [slot.shape for slot in plain]
    )
    tails = [_json_fields(_values(batch, records, indices, slot)) for slot in slots[len(plain) :]]
    return b"\n".join(map(b"\t".join, zip(heads, *tails, strict=True)) if tails else heads) + b"\n"


def _joined(records: Sequence[Record], indices: Sequence[int], slots: Sequence[Slot]) -> list[bytes] | None:
    """The rows without their JSON where every field is text that needs no escaping; None where one is not."""
    if any(len(slot.path) != 1 for slot in slots):
        return None
    try:
        columns = [map(itemgetter(slot.path[0]), records) for slot in slots]
        text = "\n".join(map("\t".join, zip(map(repr, indices), *columns, strict=True)))
    except (KeyError, TypeError):
        return None
    return text.encode().split(b"\n") if _is_plain(text, len(indices), len(slots)) else None


def _is_plain(text: str, rows: int, columns: int, escapes: int = 0) -> bool:
    """Whether there are only the separators that were put there: nothing needs escaping."""
    return (
        text.count("\n") == rows - 1
        and text.count("\t") == rows * columns
        and text.count("\\") == escapes
        and "\r" not in text
        and "\0" not in text
    )


def _heads(indices: Sequence[int], values: Sequence[list[Any]], shapes: Sequence[Shape]) -> list[bytes]:
    """The rows without their JSON: joined as they are, and escaped only where the separators do not add up."""
    columns = [_as_text(column, shape) for column, shape in zip(values, shapes, strict=True)]
    text = "\n".join(map("\t".join, zip(map(repr, indices), *columns, strict=True)))
    if not _is_plain(text, len(indices), len(columns), sum(column.count(None) for column in values)):
        columns = [texts(column, shape) for column, shape in zip(values, shapes, strict=True)]
        text = "\n".join(map("\t".join, zip(map(repr, indices), *columns, strict=True)))
    if "\0" in text:
        raise ValueError(NUL)
    return text.encode().split(b"\n")


def _as_text(values: list[Any], shape: Shape) -> list[str]:
    """The values of a column not yet escaped, but for those that are no text."""
    types = set(map(type, values))
    if types == {str}:
        return values
    if types == {str, type(None)}:
        return [NULL if value is None else value for value in values]
    return texts(values, shape)


def _values(batch: Batch, records: Sequence[Record], indices: Sequence[int], slot: Slot) -> list[Any]:
    if slot.path:
        return values_at(records, slot.path)
    origins = records if batch.origins is None else _taken(batch.origins, indices)
    return list(origins) if set(map(type, origins)) == {msgspec.Raw} else [_raw(origin) for origin in origins]


def _column(batch: Batch, records: Sequence[Record], indices: Sequence[int], slot: Slot) -> list[bytes]:
    values = _values(batch, records, indices, slot)
    if slot.shape is Shape.JSON:
        return _json_fields(values)
    return _heads(indices, [values], [slot.shape])


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
                _column(batch, [batch.records[index]], [index], slot)
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
    return NUL if str(error) == NUL else f"cannot be written: {error}"[:200]


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


def _json_fields(values: Sequence[Any]) -> list[bytes]:
    """A column of JSON as fields of COPY text; undecoded JSON goes as it came."""
    if set(map(type, values)) == {msgspec.Raw}:
        data = b"\n".join(values)
    else:
        data = _JSON.encode_lines(values)[:-1]
        if b"null" in data:
            _refuse_not_a_number(values)
    if not data.isascii():
        data.decode()  # bytes that are no UTF-8 would fail the whole COPY
    fields = (data.replace(b"\\", b"\\\\") if b"\\" in data else data).split(b"\n")
    if len(fields) != len(values) or b"\t" in data or b"\r" in data:  # space between tokens
        fields = [_escape(_json_text(value)).replace("\n", "\\n").encode() for value in values]
    return [rb"\N" if field == b"null" else field for field in fields] if b"null" in fields else fields


def _refuse_not_a_number(values: Sequence[Any]) -> None:
    with suppress(OverflowError):  # a number of more than 64 bits
        if not _NOT_FINITE.search(msgspec.msgpack.encode(values)):
            return
    for value in values:
        if value is not None and not isinstance(value, msgspec.Raw):
            try:
                _STRICT.encode(value)
            except ValueError:
                raise ValueError("JSON has no NaN and no infinity") from None


def _json_text(value: Any) -> str:
    text = _JSON.encode(value).decode()
    if "null" in text:
        _refuse_not_a_number([value])
    return text


def _plain(value: Any) -> str:
    convert = _PLAIN.get(type(value))
    if convert is not None:
        return convert(value)
    return str(value) if isinstance(value, str) else _json_text(value)


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
