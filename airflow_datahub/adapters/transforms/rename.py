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

from typing import Annotated

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from airflow_datahub.contract import Code, Function, Record, Run, Transform
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
        return _rename(self._pairs(), self.required)

    def inline(self, code: Code) -> bool:
        moves = [(parse(old), parse(new)) for old, new in self._pairs().items()]
        olds, news = {old for old, _ in moves}, {new for _, new in moves}
        one_after_another = not olds & news and (len(moves) == 1 or max(map(len, olds)) == 1)
        if not one_after_another or not code.reaches(*olds) or any(old[:-1] != new[:-1] for old, new in moves):
            return False
        for old, new in moves:
            code.move(old, new, required=self.required)
        return True

    def _pairs(self) -> dict[str, str]:
        return self.fields or {self.from_ or "": self.to or ""}


def _rename(pairs: dict[str, str], required: bool) -> Function:
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


def _missing(name: str) -> RejectRecord:
    return RejectRecord(f"{name}: required, and missing", name)
