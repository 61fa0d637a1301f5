"""Give each record an id.

With `fields` it is made of them: equal values get the same id, in every run (version 5). Without, it is made of the run
and the whole record: a later try of the run gives the same ids, another run others, and two equal records of one run
share theirs. Version 7 begins with the time of the run, so that ids are in its order.

Example:
    uuid: {to: id, fields: [shop, number]}

Given:
    - {shop: a, number: 1}

Gives:
    - {shop: a, number: 1, id: 47a20ce2-3adf-505a-b193-048d802a3469}
"""

from __future__ import annotations

import hashlib
import uuid
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from airflow_datahub.contract import Function, Record, Run, Transform
from airflow_datahub.conversion import mistake
from airflow_datahub.paths import MISSING, FieldPath, absent, getter, looked_into, read_by, setter
from airflow_datahub.texts import json_text


class Uuid(Transform):
    to: FieldPath
    """The field that gets the id."""

    version: Literal[4, 5, 7] | None = None
    """Version of the id; left out, 5 with `fields`, else 4."""

    fields: Annotated[list[FieldPath], Field(min_length=1)] | None = None
    """The fields that it is made of; a record in which one is missing is rejected."""

    namespace: uuid.UUID = uuid.UUID("6f6d9b1e-5a0c-5c1e-9d0b-0f3a3d6f9a11")
    """With `fields`: what keeps ids of different things apart."""

    @model_validator(mode="after")
    def _fits(self) -> Uuid:
        if (self.version == 5 and not self.fields) or (self.version in (4, 7) and self.fields):
            raise mistake("version 5 takes `fields`; 4 and 7 take none")
        return self

    def carries(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        return None if not self.fields or read_by(names, *self.fields) or looked_into(names, self.to) else names

    def compile(self, run: Run) -> Function:
        put, make = setter(self.to), self._of_fields if self.fields else self._of_run(run)

        def write(record: Record) -> Record:
            put(record, str(make(record)))
            return record

        return write

    def _of_fields(self, record: Record) -> uuid.UUID:
        values: list[Any] = [getter(name)(record) for name in self.fields or ()]
        for name, value in zip(self.fields or (), values, strict=True):
            if value is MISSING:
                raise absent(name)
        return uuid.uuid5(self.namespace, json_text(None, values, canonical=True).decode())

    def _of_run(self, run: Run) -> Any:
        seed = f"{run.pipeline} {run.run_id} {self.to} ".encode()
        milliseconds = max(0, int(run.started.timestamp() * 1000))

        def make(record: Record) -> uuid.UUID:
            number = int.from_bytes(hashlib.sha256(seed + json_text(None, record, canonical=True)).digest()[:16])
            if self.version == 7:
                number = milliseconds << 80 | number & ((1 << 80) - 1)
            version = self.version or 4
            return uuid.UUID(int=number & ~(0xF << 76) & ~(0x3 << 62) | version << 76 | 0x2 << 62)

        return make
