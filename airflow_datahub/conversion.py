"""The base of operators that make one value of another, and what they say of values that they cannot take."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pydantic_core import PydanticCustomError

from airflow_datahub.conditions.values import kind_of, shown
from airflow_datahub.contract import Code, Function, Run, Transform
from airflow_datahub.errors import RejectRecord
from airflow_datahub.paths import FieldPath, converter, inline_converter, looked_into, read_by

Convert = Callable[[Any], Any]
"""Gives the new value; raises RejectRecord for a value that it cannot take. It is pure."""

LONGEST_TEXT = 1_000_000
"""Characters that an operator works on, so that a hostile record costs a bounded time."""


class Conversion(Transform):
    """Takes what is at `field` and puts what it makes of it at `to`."""

    field: FieldPath
    """The field that is read."""

    to: FieldPath | None = None
    """The field that gets the result; left out, it is the same one."""

    required: bool = False
    """Reject a record in which the field is missing or null; else it passes untouched."""

    def conversion(self) -> Convert:
        """The function of one value, which is never null."""
        raise NotImplementedError

    def carries(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        return None if read_by(names, self.field) or looked_into(names, self.to or self.field) else names

    def compile(self, run: Run) -> Function:
        return converter(self.field, self.to, self.conversion(), self.required)

    def inline(self, code: Code) -> bool:
        return inline_converter(code, self.field, self.to, self.conversion(), self.required)


def of_text(field: str, convert: Callable[[str], Any]) -> Convert:
    """The conversion of a text; anything else, and a text of more than a million characters, is rejected."""

    def checked(value: Any) -> Any:
        if value.__class__ is not str:
            raise unfit(field, value, "is not a text; `to_string` makes one of it")
        if len(value) > LONGEST_TEXT:
            raise RejectRecord(
                f"{field}: a text of {len(value):,} characters; at most {LONGEST_TEXT:,} are read", field
            )
        return convert(value)

    return checked


def of_list(field: str, convert: Callable[[list[Any]], Any]) -> Convert:
    """The conversion of a list; anything else is rejected."""

    def checked(value: Any) -> Any:
        if value.__class__ is not list:
            raise unfit(field, value, "is not a list")
        return convert(value)

    return checked


def unfit(field: str, value: object, why: str) -> RejectRecord:
    """The rejection of a value: `why` is said of it."""
    return RejectRecord(f"{field}: {shown(value)} ({kind_of(value)}) {why}", field)


def mistake(reason: str) -> PydanticCustomError:
    """What a model raises for fields that do not fit; the reason is for a person."""
    return PydanticCustomError("operator", "{reason}", {"reason": reason})


def one_of(what: str, name: str, known: Iterable[str]) -> str:
    """The name, if it is known; else a mistake that says which is nearest."""
    import difflib

    known = list(known)
    if name in known:
        return name
    near = difflib.get_close_matches(name, known, n=1)
    raise mistake(f"no {what} {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
