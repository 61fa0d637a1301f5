"""Read what `encrypt` has written. A text of another key, or that was changed, is rejected.

Example:
    decrypt: {field: iban, connection: vault}

Given:
    - {iban: "LjFTgUjdgH1yptp8DZTOuGArgGfI6A=="}

Gives:
    - {iban: DE89}
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode
from typing import Any

import msgspec

from airflow_datahub.contract import Function, Run, Transform
from airflow_datahub.conversion import unfit
from airflow_datahub.errors import RejectRecord
from airflow_datahub.keys import keys_of
from airflow_datahub.paths import FieldPath, converter, looked_into, read_by


class Decrypt(Transform):
    field: FieldPath
    """The text that `encrypt` has written."""

    to: FieldPath | None = None
    """The field that gets the value; left out, it is the same one."""

    connection: str
    """Id of the connection whose password is the key; several, separated by commas, are tried in turn."""

    required: bool = False
    """Reject a record in which the field is missing or null."""

    def carries(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        return None if read_by(names, self.field) or looked_into(names, self.to or self.field) else names

    def compile(self, run: Run) -> Function:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV

        ciphers = [AESSIV(key) for key in keys_of(run, self.connection)]

        def decrypt(value: Any) -> Any:
            sealed = self._sealed(value)
            for cipher in ciphers:
                try:
                    return msgspec.json.decode(cipher.decrypt(sealed, None))
                except (InvalidTag, ValueError):
                    continue
            raise RejectRecord(
                f"{self.field}: does not open with the key of connection {self.connection!r}", self.field
            )

        return converter(self.field, self.to, decrypt, self.required)

    def _sealed(self, value: Any) -> bytes:
        try:
            return urlsafe_b64decode(value.encode("ascii"))
        except (binascii.Error, ValueError, AttributeError) as error:
            raise unfit(self.field, value, "is not what `encrypt` writes") from error
