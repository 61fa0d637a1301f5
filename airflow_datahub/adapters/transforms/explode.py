"""Make one record of each element of a list.

Example:
    explode: {field: items, to: item, index: line}

Given:
    - {order: 1, items: [a, b]}

Gives:
    - {order: 1, item: a, line: 0}
    - {order: 1, item: b, line: 1}
"""

from __future__ import annotations

from copy import deepcopy
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from airflow_datahub.contract import Applied, Function, Record, Run, Transform
from airflow_datahub.conversion import mistake, unfit
from airflow_datahub.paths import MISSING, FieldPath, absent, deleter, getter, setter


class Explode(Transform):
    field: FieldPath
    """The list."""

    to: FieldPath | None = None
    """The field that gets the element; left out, the same one."""

    merge: bool = False
    """The elements are objects: their fields go into the record itself, in the place of those of the same names."""

    index: FieldPath | None = None
    """A field that gets the number of the element, from 0."""

    empty: Literal["keep", "drop"] = "keep"
    """What becomes of a record without elements: it stays one, without the field, or ends here."""

    required: bool = False
    """Reject a record in which the list is missing or null; else it is as one without elements."""

    most: Annotated[int, Field(ge=1, le=1_000_000)] = 100_000
    """A list with more elements is rejected."""

    @model_validator(mode="after")
    def _one_place(self) -> Explode:
        if self.merge and self.to:
            raise mistake("takes `to` or `merge`, not both: merged fields have their own names")
        return self

    def compile(self, run: Run) -> Function:
        get, delete = getter(self.field), deleter(self.field)
        put, number = setter(self.to or self.field), setter(self.index) if self.index else None

        def part(rest: Record, position: int, element: Any) -> Record:
            record = deepcopy(rest)
            if not self.merge:
                put(record, element)
            elif element.__class__ is dict:
                record.update(element)
            else:
                raise unfit(self.field, element, "is no object whose fields could be merged")
            if number:
                number(record, position)
            return record

        def explode(record: Record) -> Applied:
            elements = get(record)
            if elements is None or elements is MISSING:
                if self.required:
                    raise absent(self.field)
                elements = []
            if elements.__class__ is not list:
                raise unfit(self.field, elements, "is not a list")
            if len(elements) > self.most:
                raise unfit(self.field, len(elements), f"elements are too many; at most {self.most:,} are exploded")
            delete(record)
            if not elements:
                return record if self.empty == "keep" else None
            return [part(record, position, element) for position, element in enumerate(elements)]

        return explode
