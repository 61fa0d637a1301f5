"""Durations and sizes as a person writes them: `5m`, `256MiB`.

What is wrong is raised as the pydantic error `wanted`, whose text completes the sentence "'field' wants …".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_DURATION = re.compile(r"([0-9]{1,9})([smhd])")
_LONGEST = timedelta(days=3650)
_BYTES = {"": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_SIZE = re.compile(r"([0-9]{1,12})(KiB|MiB|GiB|)")


def wanted(what: str, meant: str = "") -> PydanticCustomError:
    """The error to raise for a value that is not what the field wants; `meant` ends the message."""
    return PydanticCustomError("wanted", "{what}", {"what": what, "meant": meant})


def duration(value: Any) -> timedelta:
    """`30s`, `5m`, `2h` or `1d`, at most ten years."""
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None or (parsed := timedelta(**{_UNITS[match[2]]: int(match[1])})) > _LONGEST:
        raise wanted("a duration such as 30s, 5m, 2h or 1d")
    return parsed


def shortest(value: timedelta) -> str:
    """A duration as the grammar writes it."""
    seconds = int(value.total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _some_time(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise wanted("a duration above 0s")
    return value


def size(value: Any) -> int:
    """Bytes of `256MiB`, `64KiB`, `1GiB` or a plain number above 0."""
    match = _SIZE.fullmatch(str(value)) if isinstance(value, str | int) and not isinstance(value, bool) else None
    if match is None or not int(match[1]):
        raise wanted("a size such as 64KiB, 256MiB or 1GiB")
    return int(match[1]) * _BYTES[match[2]]


def size_text(value: int) -> str:
    """A size as the grammar writes it."""
    unit = next(unit for unit in ("GiB", "MiB", "KiB", "") if value % _BYTES[unit] == 0)
    return f"{value // _BYTES[unit]}{unit}"


def text_schema(pattern: str, *examples: str) -> WithJsonSchema:
    """The JSON Schema of a text of this form."""
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": list(examples)})


_AS_TEXT: Callable[[Any], Any] = shortest
Duration = Annotated[
    timedelta,
    BeforeValidator(duration),
    PlainSerializer(_AS_TEXT),
    text_schema("^[0-9]{1,9}[smhd]$", "30s", "5m", "2h", "1d"),
]
"""Read from `30s`, `5m`, `2h` or `1d`."""

SomeTime = Annotated[Duration, BeforeValidator(lambda value: _some_time(duration(value)))]
"""A duration above zero."""

_SIZE_AS_TEXT: Callable[[Any], Any] = size_text
Size = Annotated[
    int,
    BeforeValidator(size),
    PlainSerializer(_SIZE_AS_TEXT),
    text_schema("^[0-9]{1,12}([KMG]iB)?$", "64KiB", "256MiB", "1GiB"),
]
"""Bytes, read from `64KiB`, `256MiB` or `1GiB`."""
