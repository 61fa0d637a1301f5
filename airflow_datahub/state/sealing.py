"""Records on their way into the store and back: a faithful text form, encrypted.

Plain `json` rather than msgspec: it brings NaN, numbers of any length and lone surrogates through unchanged, of which
rejects are made. What JSON has no form for travels as `{"$airflow_datahub": <type>, "value": <text>}`.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode, urlsafe_b64decode
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any
from uuid import UUID

from msgspec import Raw

from airflow_datahub.contract import Unreadable
from airflow_datahub.errors import ConfigurationError

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

RECORD_LIMIT = 10 << 20
"""Bytes of a record's text above which only its position is kept."""

_TAG = "$airflow_datahub"


class Seal:
    """Encrypts records with the first of several Fernet keys and decrypts with any of them."""

    def __init__(self, keys: str):
        """Take keys separated by commas; ConfigurationError for one that is no Fernet key."""
        self._keys = [key.strip() for key in keys.split(",")]
        if not all(map(_is_key, self._keys)):
            raise ConfigurationError(
                "the encryption key is no Fernet key: it must be 32 bytes in URL-safe base64, several separated by "
                "commas; make one with `openssl rand -base64 32 | tr '+/' '-_'` and set it as AIRFLOW__CORE__FERNET_KEY"
            )

    @cached_property
    def _fernet(self) -> MultiFernet:
        from cryptography.fernet import Fernet, MultiFernet  # 6 MB, which a run without rejects does not need

        return MultiFernet(map(Fernet, self._keys))

    def close(self, record: Any) -> bytes | None:
        """The record encrypted; None where it is above RECORD_LIMIT."""
        text = encoded(record)
        return self._fernet.encrypt(text) if len(text) <= RECORD_LIMIT else None

    def open(self, sealed: bytes) -> Any:
        """The record again; LookupError where none of the keys is the one that it was encrypted with."""
        from cryptography.fernet import InvalidToken

        try:
            return decoded(self._fernet.decrypt(sealed))
        except InvalidToken:
            raise LookupError("the record is encrypted with a key that is not configured any more") from None


def _is_key(text: str) -> bool:
    """As Fernet's own check."""
    try:
        return len(urlsafe_b64decode(text)) == 32
    except ValueError:
        return False


def encoded(record: Any) -> bytes:
    """A text form of any record; what has none is kept as Python writes it."""
    try:
        text = json.dumps(record, default=_tagged, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        text = json.dumps({_TAG: "python", "value": _written(record)}, ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


def decoded(text: bytes) -> Any:
    """The record behind a text form of `encoded`."""
    return json.loads(text.decode("utf-8", "surrogatepass"), object_hook=_untagged if _TAG.encode() in text else None)


_WRITERS: tuple[tuple[type | tuple[type, ...], str, Callable[[Any], Any]], ...] = (
    (Decimal, "decimal", str),
    (datetime, "datetime", datetime.isoformat),
    (date, "date", date.isoformat),
    (time, "time", time.isoformat),
    (timedelta, "timedelta", lambda span: [span.days, span.seconds, span.microseconds]),
    (UUID, "uuid", str),
    ((bytes, bytearray, memoryview), "bytes", lambda data: b64encode(data).decode()),
    ((set, frozenset), "set", list),
)
"""In order: a datetime is also a date."""

_READERS: Mapping[str, Callable[[Any], Any]] = {
    "decimal": Decimal,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "timedelta": lambda parts: timedelta(*parts),
    "uuid": UUID,
    "bytes": lambda text: b64decode(text, validate=True),
    "set": set,
}


def _tagged(value: Any) -> Any:
    """The form of a value that JSON does not know."""
    if isinstance(value, Raw):
        return json.loads(bytes(value))
    if isinstance(value, Unreadable):
        return value.payload
    for types, name, write in _WRITERS:
        if isinstance(value, types):
            return {_TAG: name, "value": write(value)}
    return {_TAG: "python", "value": _written(value)}


def _untagged(found: dict[str, Any]) -> Any:
    """The value of a tagged form; a source's own object that happens to look like one stays as it is."""
    read = _READERS.get(found[_TAG]) if isinstance(found.get(_TAG), str) and found.keys() == {_TAG, "value"} else None
    if read is None:
        return found
    try:
        return read(found["value"])
    except (ArithmeticError, TypeError, ValueError):
        return found


def _written(value: Any) -> str:
    try:
        return repr(value)
    except Exception:
        return f"<{type(value).__name__} that cannot be written down>"
