"""Give fields another name or another place.

A field of the new name is replaced. With `fields` all names change at once, so two fields can swap theirs.

Example:
    rename: {from: type, to: event_type}

Given:
    - {id: a, type: click}
    - {id: b}

Gives:
    - {id: a, event_type: click}
    - {id: b}
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from airflow_datahub.contract import Function, Record, Run, Transform
from airflow_datahub.errors import RejectRecord
from airflow_datahub.paths import MISSING, FieldPath, deleter, getter, looked_into, parse, setter


class Rename(Transform):
    from_: FieldPath | None = Field(default=None, alias="from")
    """The field that gets another name."""

    to: FieldPath | None = None
    """Its new name."""

    fields: Annotated[dict[FieldPath, FieldPath], Field(min_length=1)] | None = None
    """Instead of `from` and `to`: several fields, each old name with its new one."""

    required: bool = False
    """Reject a record in which one of the fields is missing."""

    @model_validator(mode="after")
    def _one_form(self) -> Rename:
        if (self.from_ is None) is not (self.to is None) or (self.from_ is None) is (self.fields is None):
            raise PydanticCustomError("rename", "takes `from` and `to`, or `fields` with old: new")
        new = [parse(name) for name in self._pairs().values()]
        if len(set(new)) < len(new):
            raise PydanticCustomError("rename", "gives one new name to two fields")
        return self

    def carries(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        pairs = self._pairs()
        moves = [(parse(old), parse(new)) for old, new in pairs.items()]
        found = [(*new, *names[len(old) :]) for old, new in moves if names[: len(old)] == old]
        behind = found[0] if found else names
        if looked_into(names, *pairs, *pairs.values()) or looked_into(behind, *pairs.values()) or len(found) > 1:
            return None
        return behind

    def compile(self, run: Run) -> Function:
        pairs = self._pairs()
        if all(len(parse(name)) == 1 for pair in pairs.items() for name in pair):
            return _top_level([(parse(old)[0], parse(new)[0]) for old, new in pairs.items()], self.required)
        rename = _anywhere(pairs, self.required)
        (old, *others), (new, *_) = map(parse, pairs), map(parse, pairs.values())
        return rename if others or old[:-1] != new[:-1] or len(old) != 2 else _inside(*old, new[1], rename)

    def _pairs(self) -> dict[str, str]:
        return self.fields or {self.from_ or "": self.to or ""}


def _top_level(pairs: Sequence[tuple[str, str]], required: bool) -> Function:
    olds, news = zip(*pairs, strict=True)
    if required or set(olds) & set(news):
        return _exchange(pairs, required)

    def rename(record: Record) -> Record:
        pop = record.pop
        try:
            for old, new in pairs:
                record[new] = pop(old)
        except KeyError:
            for old, new in pairs:  # those that are done are no longer there
                if old in record:
                    record[new] = pop(old)
        return record

    return rename


def _exchange(pairs: Sequence[tuple[str, str]], required: bool) -> Function:
    def rename(record: Record) -> Record:
        # all are taken out before any is put in, so that two fields may swap their names
        found = [(old, new, record.pop(old, MISSING)) for old, new in pairs]
        for old, new, value in found:
            if value is not MISSING:
                record[new] = value
            elif required:
                raise _missing(old)
        return record

    return rename


def _anywhere(pairs: dict[str, str], required: bool) -> Callable[[Record], Record]:
    moves = [(old, getter(old), deleter(old), setter(new)) for old, new in pairs.items()]

    def rename(record: Record) -> Record:
        found = []
        for old, get, _, put in moves:
            value = get(record)
            if value is not MISSING:
                found.append((put, value))
            elif required:
                raise _missing(old)
        for _, _, delete, _ in moves:
            delete(record)
        for put, value in found:
            put(record, value)
        return record

    return rename


def _inside(field: str, old: str, new: str, otherwise: Callable[[Record], Record]) -> Function:
    """A name in an object: the object is copied once."""

    def rename(record: Record) -> Record:
        holder = record.get(field)
        if holder.__class__ is not dict or old not in holder:
            return otherwise(record)
        changed = holder.copy()
        changed[new] = changed.pop(old)
        record[field] = changed
        return record

    return rename


def _missing(name: str) -> RejectRecord:
    return RejectRecord(f"{name}: required, and missing", name)
