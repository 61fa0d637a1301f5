"""Put several fields together into one text; what is missing or null is left out.

Example:
    concat: {fields: [first, last], separator: " ", to: name}

Given:
    - {first: Ann, last: Lee}
    - {first: Bob}

Gives:
    - {first: Ann, last: Lee, name: Ann Lee}
    - {first: Bob, name: Bob}
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from airflow_datahub.contract import Function, Record, Run, Transform
from airflow_datahub.paths import MISSING, FieldPath, absent, getter, looked_into, read_by, setter
from airflow_datahub.texts import as_text


class Concat(Transform):
    fields: Annotated[list[FieldPath], Field(min_length=1)]
    """The fields, in order; numbers, true and false are written as JSON writes them."""

    to: FieldPath
    """The field that gets the text."""

    separator: str = ""
    """What is put between them."""

    required: bool = False
    """Reject a record in which one of the fields is missing or null."""

    def carries(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        return None if read_by(names, *self.fields) or looked_into(names, self.to) else names

    def compile(self, run: Run) -> Function:
        parts, put = [(name, getter(name)) for name in self.fields], setter(self.to)

        def concat(record: Record) -> Record:
            texts = []
            for name, get in parts:
                value = get(record)
                if value is not None and value is not MISSING:
                    texts.append(as_text(name, value))
                elif self.required:
                    raise absent(name)
            if texts:
                put(record, self.separator.join(texts))
            return record

        return concat
