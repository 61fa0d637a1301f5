"""Hide a value: wholly, but for its ends, or behind a hash or a token that is the same for equal values.

Hash and token take a key from the password of a connection, so that nobody can find the value by trying; the key must
stay the same, or equal values get other tokens. Numbers are written as text first.

Example:
    mask: {field: card, mode: partial, keep_end: 4}

Given:
    - {card: "4111111111111111"}

Gives:
    - {card: "************1111"}
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field, model_validator

from airflow_datahub.contract import Function, Run, Transform
from airflow_datahub.conversion import mistake, unfit
from airflow_datahub.keys import keyed_hash, keys_of
from airflow_datahub.paths import FieldPath, converter, looked_into, read_by
from airflow_datahub.texts import as_text

_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class Mask(Transform):
    field: FieldPath
    """The field that is hidden; lists and objects can only be redacted."""

    to: FieldPath | None = None
    """The field that gets the result; left out, it is the same one."""

    mode: Literal["redact", "partial", "hash", "token"] = "redact"
    """redact: the same text for all; partial: its ends stay; hash: 64 hexadecimal digits; token: 16 letters and digits
    that people can read to one another."""

    text: str = "***"
    """With redact: what is written instead."""

    keep_start: Annotated[int, Field(ge=0, le=100)] = 0
    """With partial: characters that stay at the start. Of a text that is not longer than what stays nothing does."""

    keep_end: Annotated[int, Field(ge=0, le=100)] = 0
    """With partial: characters that stay at the end."""

    connection: str | None = None
    """With hash and token: id of the connection whose password is the key."""

    required: bool = False
    """Reject a record in which the field is missing or null."""

    @model_validator(mode="after")
    def _fits(self) -> Mask:
        if (self.mode in ("hash", "token")) is (self.connection is None):
            raise mistake("takes `connection`, whose password is the key, exactly for the modes hash and token")
        if (self.mode == "partial") is not bool(self.keep_start or self.keep_end):
            raise mistake("takes `keep_start`, `keep_end` or both exactly for the mode partial")
        return self

    def carries(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        return None if read_by(names, self.field) or looked_into(names, self.to or self.field) else names

    def compile(self, run: Run) -> Function:
        return converter(self.field, self.to, self._hidden(run), self.required)

    def _hidden(self, run: Run) -> Callable[[object], str]:
        if self.mode == "redact":
            return lambda value: self.text
        if self.mode == "partial":
            return lambda value: self._partial(as_text(self.field, value))
        key, length = keys_of(run, self.connection or "")[0], 64 if self.mode == "hash" else 16

        def hidden(value: object) -> str:
            try:
                digest = keyed_hash(key, as_text(self.field, value).encode())
            except UnicodeEncodeError as error:
                raise unfit(self.field, value, "holds half a surrogate pair") from error
            if length == 64:
                return digest
            return "".join(_LETTERS[byte % len(_LETTERS)] for byte in bytes.fromhex(digest)[:16])

        return hidden

    def _partial(self, text: str) -> str:
        hidden = len(text) - self.keep_start - self.keep_end
        if hidden <= 0:
            return "*" * len(text)
        return text[: self.keep_start] + "*" * hidden + text[len(text) - self.keep_end :]
