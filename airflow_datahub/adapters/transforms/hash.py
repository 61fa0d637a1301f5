"""Write the hash of fields, or of the whole record: the same for equal values, whatever the order of their keys.

What is hashed is the canonical JSON of an object with these fields; of one text with `of: text` its UTF-8 alone, as
other systems do it.

Example:
    hash: {fields: [email], to: email_hash, of: text}

Given:
    - {email: ann@example.com}

Gives:
    - {email: ann@example.com, email_hash: 71d4f55f72fa128dfb468a1a3901507c804b74316488744d769d7f4b16696476}
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from airflow_datahub.contract import Function, Record, Run, Transform
from airflow_datahub.conversion import mistake, unfit
from airflow_datahub.extras import library
from airflow_datahub.paths import MISSING, FieldPath, getter, looked_into, read_by, setter
from airflow_datahub.texts import json_text


class Hash(Transform):
    fields: Annotated[list[FieldPath], Field(min_length=1)] | None = None
    """The fields that are hashed; left out, the whole record. One that is missing is not the same as null."""

    to: FieldPath
    """The field that gets the hash, in hexadecimal."""

    algorithm: Literal["sha256", "sha512", "md5", "xxh3"] = "sha256"
    """xxh3 is the fastest, and no one's secret is safe behind it, nor behind md5."""

    of: Literal["json", "text"] = "json"
    """text: the UTF-8 of one text field."""

    @model_validator(mode="after")
    def _one_text(self) -> Hash:
        if self.of == "text" and len(self.fields or ()) != 1:
            raise mistake("`of: text` takes one field")
        return self

    def carries(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        return None if not self.fields or read_by(names, *self.fields) or looked_into(names, self.to) else names

    def compile(self, run: Run) -> Function:
        digest, put = _digest(self.algorithm), setter(self.to)
        content = self._text if self.of == "text" else self._json

        def write(record: Record) -> Record:
            put(record, digest(content(record)))
            return record

        return write

    def _json(self, record: Record) -> bytes:
        if not self.fields:
            return json_text(None, record, canonical=True)
        found = {name: value for name in self.fields if (value := getter(name)(record)) is not MISSING}
        return json_text(", ".join(self.fields), found, canonical=True)

    def _text(self, record: Record) -> bytes:
        name = (self.fields or [""])[0]
        value = getter(name)(record)
        try:
            return str.encode(value)
        except (TypeError, UnicodeEncodeError) as error:
            raise unfit(name, None if value is MISSING else value, "is not a text that UTF-8 can write") from error


def _digest(algorithm: str) -> Callable[[bytes], str]:
    if algorithm == "xxh3":
        xxhash: Any = library("xxhash", "hash")
        return lambda content: str(xxhash.xxh3_64_hexdigest(content))
    return lambda content: hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
