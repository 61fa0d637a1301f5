"""Put fields and fixed texts together into one text.

A field that is missing or null is skipped, and so is its separator; where all are, nothing is written. Numbers, true
and false are written as JSON writes them. Lists and objects reject the record, and so does a result of over 1,000,000
characters.

Example:
    concat: {parts: [first, last, {text: "(customer)"}], separator: " ", to: name}

Given:
    - {first: Ann, last: Lee}
    - {first: Bob, last: null}
    - {last: null}

Gives:
    - {first: Ann, last: Lee, name: Ann Lee (customer)}
    - {first: Bob, last: null, name: Bob (customer)}
    - {last: null}
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from airflow_datahub.contract import Function, Record, Run, Transform
from airflow_datahub.conversion import LONGEST_TEXT, mistake
from airflow_datahub.errors import RejectRecord
from airflow_datahub.paths import MISSING, FieldPath, absent, getter, looked_into, read_by, setter
from airflow_datahub.texts import as_text


class Text(BaseModel):
    """A fixed text among the fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, defer_build=True)

    text: Annotated[str, Field(min_length=1)]
    """The text, as it is."""


class Concat(Transform):
    parts: Annotated[list[FieldPath | Text], Field(min_length=1)]
    """What is put together, in order: the names of fields, and fixed texts as `{text: …}`."""

    to: FieldPath
    """The field that gets the text."""

    separator: str = ""
    """What is put between the parts."""

    default: str | None = None
    """What is written for a field that is missing or null; left out, it is skipped."""

    required: bool = False
    """Reject a record in which one of the fields is missing or null."""

    @model_validator(mode="after")
    def _fits(self) -> Concat:
        if not self._fields():
            raise mistake("`parts` names no field; `set` writes a fixed text")
        if self.required and self.default is not None:
            raise mistake("takes `default` or `required`, not both: with a default no field is missing")
        return self

    def carries(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        return None if read_by(names, *self._fields()) or looked_into(names, self.to) else names

    def compile(self, run: Run) -> Function:
        parts = [part.text if isinstance(part, Text) else self._reader(part) for part in self.parts]
        put, separator, to = setter(self.to), self.separator, self.to

        def concat(record: Record) -> Record:
            texts = [part if isinstance(part, str) else part(record) for part in parts]
            if all(text is None for text, part in zip(texts, parts, strict=True) if not isinstance(part, str)):
                return record
            text = separator.join(text for text in texts if text is not None)
            if len(text) > LONGEST_TEXT:
                raise RejectRecord(f"{to}: would be a text of {len(text):,}, over {LONGEST_TEXT:,}, characters", to)
            put(record, text)
            return record

        return concat

    def _reader(self, field: str) -> Callable[[Record], str | None]:
        get, default, required = getter(field), self.default, self.required

        def read(record: Record) -> str | None:
            value = get(record)
            if value is not None and value is not MISSING:
                return as_text(field, value)
            if required:
                raise absent(field)
            return default

        return read

    def _fields(self) -> list[str]:
        return [part for part in self.parts if isinstance(part, str)]
