"""Texts with values of a record in them: `${path}`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator

from airflow_datahub.contract import Record
from airflow_datahub.conversion import mistake
from airflow_datahub.paths import MISSING, getter, parse
from airflow_datahub.texts import as_text

_PLACE = re.compile(r"\$\{([^{}]*)\}")


def _readable(text: str) -> str:
    for path in paths_in(text):
        try:
            if not parse(path):
                raise mistake("`${}` names no field")
        except ValueError as error:
            raise mistake(str(error)) from error
    if "${" in _PLACE.sub("", text):
        raise mistake("a `${` without its `}`")
    return text


Filled = Annotated[str, AfterValidator(_readable)]
"""A field of a model that holds such a text."""


def paths_in(text: str) -> list[str]:
    """The paths that it names."""
    return _PLACE.findall(text)


def filler(text: str, quote: Callable[[str], str] = str, absent: Callable[[str], str] = lambda path: "") -> Any:
    """The function that fills the text from a record: `quote` is applied to each value, `absent` gives what stands for
    one that is missing or null, or raises."""
    parts = _PLACE.split(text)
    fixed, places = parts[::2], [(path, getter(path)) for path in parts[1::2]]

    def fill(record: Record) -> str:
        values = [_value(path, get(record), quote, absent) for path, get in places]
        return "".join(_between(fixed, values))

    return fill


def _between(fixed: Sequence[str], values: Sequence[str]) -> list[str]:
    made = [fixed[0]]
    for value, text in zip(values, fixed[1:], strict=True):
        made += [value, text]
    return made


def _value(path: str, value: Any, quote: Callable[[str], str], absent: Callable[[str], str]) -> str:
    return absent(path) if value is None or value is MISSING else quote(as_text(path, value))
