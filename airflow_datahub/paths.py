r"""Dotted paths into a record: `a.b.0.c`; a dot in a name is written `\.`, a backslash `\\`.

A path is compiled once into a function. A number names an element where it meets a list and a field where it meets an
object. Changes copy the containers along the path and never touch the ones that the record came with; only the top
level is changed in place.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from airflow_datahub.contract import Code, Record
from airflow_datahub.errors import RejectRecord

MISSING: Final[Any] = object()
"""What a getter gives where nothing is: not null, which is a value."""

_NAME = re.compile(r"(?:\\[.\\]|[^.\\])+")
_PATH = re.compile(rf"{_NAME.pattern}(?:\.{_NAME.pattern})*")
_LONGEST_INDEX = 9


@lru_cache(10_000)
def parse(path: str) -> tuple[str, ...]:
    """The names of a path; "" is the record itself, (). Raises ValueError for a path that cannot be read."""
    if path and not _PATH.fullmatch(path):
        raise ValueError(rf"{path!r} is not a path: write names with dots between them, `\.` for a dot in a name")
    return tuple(re.sub(r"\\(.)", r"\1", name) for name in _NAME.findall(path))


def _checked(path: str) -> str:
    try:
        parse(path)
    except ValueError as error:
        raise PydanticCustomError("path", "{reason}", {"reason": str(error)}) from error
    return path


FieldPath = Annotated[str, Field(min_length=1), AfterValidator(_checked)]
"""A field of a model that holds a path."""


def looked_into(names: tuple[str, ...], *paths: str) -> bool:
    """Whether one of the paths leads into what is at `names`, so that who walks it must know what that is."""
    ways = [parse(path) for path in paths]
    return any(len(way) > len(names) and way[: len(names)] == names for way in ways)


def read_by(names: tuple[str, ...], *paths: str) -> bool:
    """Whether who reads what is at the paths also reads something of what is at `names`."""
    ways = [parse(path) for path in paths]
    return looked_into(names, *paths) or any(names[: len(way)] == way for way in ways)


def getter(path: str) -> Callable[[Record], Any]:
    """A function that reads the path, or gives MISSING."""
    names = parse(path)
    if len(names) == 1:
        name = names[0]
        return lambda record: record.get(name, MISSING)

    def get(record: Record) -> Any:
        value: Any = record
        for name in names:
            value = _child(value, name)
        return value

    return get


def setter(path: str) -> Callable[[Record, Any], None]:
    """A function that writes a value at the path.

    Objects on the way that are missing or null are made; an element may be replaced, or added right behind the last.
    Raises RejectRecord where the way is barred by a value that holds no fields."""
    *parents, last = _some(path)
    if not parents:
        return lambda record, value: record.__setitem__(last, value)

    def put(record: Record, value: Any) -> None:
        holder: Any = record
        for name in parents:
            child = _own_copy(_child(holder, name), path)
            _assign(holder, name, child, path)
            holder = child
        _assign(holder, last, value, path)

    return put


def deleter(path: str) -> Callable[[Record], None]:
    """A function that removes what is at the path; nothing happens where nothing is."""
    *parents, last = _some(path)
    if not parents:
        return lambda record: record.pop(last, None)
    get = getter(path)

    def delete(record: Record) -> None:
        if get(record) is MISSING:
            return
        holder: Any = record
        for name in parents:
            child = _own_copy(_child(holder, name), path)
            _assign(holder, name, child, path)
            holder = child
        del holder[int(last) if holder.__class__ is list else last]

    return delete


def converter(field: str, to: str | None, convert: Callable[[Any], Any], required: bool) -> Callable[[Record], Record]:
    """A function that puts the converted value of `field` at `to` (default: where it was).

    A field that is missing or null leaves the record alone; when it is required, it rejects the record."""
    get, put = getter(field), setter(to or field)

    def change(record: Record) -> Record:
        value = get(record)
        if value is not None and value is not MISSING:
            put(record, convert(value))
        elif required:
            raise absent(field)
        return record

    return change


def inline_converter(code: Code, field: str, to: str | None, convert: Callable[[Any], Any], required: bool) -> bool:
    """The same as statements; False where there are none for these paths."""
    names, target = parse(field), parse(to or field)
    if not code.reaches(names, target):
        return False
    value = code.value_at(names)
    with code.under(f"if {value} is not None"):
        code.put(target, f"{code.constant(convert)}({value})")
    if required:
        with code.under("else"):
            code.hand_over()
    return True


def absent(field: str) -> RejectRecord:
    """The rejection of a record without a required field."""
    return RejectRecord(f"{field}: required, and missing or null", field)


def _some(path: str) -> tuple[str, ...]:
    names = parse(path)
    if not names:
        raise ValueError("the record itself cannot be set or removed: name a field")
    return names


def _child(value: Any, name: str) -> Any:
    if value.__class__ is dict:
        return value.get(name, MISSING)
    if value.__class__ is list and (index := _index(name)) is not None and index < len(value):
        return value[index]
    return MISSING


def _index(name: str) -> int | None:
    return int(name) if len(name) <= _LONGEST_INDEX and name.isascii() and name.isdigit() else None


def _own_copy(value: Any, path: str) -> Any:
    if value is MISSING or value is None:
        return {}
    if value.__class__ is dict or value.__class__ is list:
        return value.copy()
    raise RejectRecord(f"{path}: cannot be reached, a {type(value).__name__} on the way holds no fields", path)


def _assign(holder: Any, name: str, value: Any, path: str) -> None:
    if holder.__class__ is dict:
        holder[name] = value
        return
    index = _index(name)
    if index is None or index > len(holder):
        raise RejectRecord(f"{path}: the list on the way has {len(holder)} elements and no {name!r}", path)
    holder[index : index + 1] = [value]
