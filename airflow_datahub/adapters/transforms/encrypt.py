"""Encrypt a value so that only who has the key can read it, by `decrypt`.

The key is the password of a connection (AES-SIV, RFC 5297). Equal values of one field become equal texts, so that they
can still be counted and joined; the text also fails to decrypt once anybody has changed it.

Example:
    encrypt: {field: iban, connection: vault}

Given:
    - {iban: DE89}

Gives:
    - {iban: "LjFTgUjdgH1yptp8DZTOuGArgGfI6A=="}
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import Any

from airflow_datahub.contract import Function, Run, Transform
from airflow_datahub.keys import keys_of
from airflow_datahub.paths import FieldPath, converter, looked_into, read_by
from airflow_datahub.texts import json_text


class Encrypt(Transform):
    field: FieldPath
    """The field that is encrypted: any JSON, which `decrypt` gives back as it was."""

    to: FieldPath | None = None
    """The field that gets the text; left out, it is the same one."""

    connection: str
    """Id of the connection whose password is the key; of several, separated by commas, the first."""

    required: bool = False
    """Reject a record in which the field is missing or null."""

    def carries(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        return None if read_by(names, self.field) or looked_into(names, self.to or self.field) else names

    def compile(self, run: Run) -> Function:
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV

        cipher = AESSIV(keys_of(run, self.connection)[0])

        def encrypt(value: Any) -> str:
            return urlsafe_b64encode(cipher.encrypt(json_text(self.field, value, canonical=True), None)).decode()

        return converter(self.field, self.to, encrypt, self.required)
