"""Keys that operators encrypt with: from the password of a connection, never from a spec."""

from __future__ import annotations

import hashlib
import hmac

from airflow_datahub.contract import Run
from airflow_datahub.errors import ConfigurationError

SHORTEST = 16
"""Characters of a password that is used as a key."""


def keys_of(run: Run, connection: str) -> list[bytes]:
    """The keys, 64 bytes each, of the passwords of a connection, which are separated by commas: the first is the one in
    use, the others are old ones. ConfigurationError where there is none, or one that can be guessed."""
    passwords = [each.strip() for each in (run.connections(connection).password or "").split(",") if each.strip()]
    if not passwords:
        raise ConfigurationError(f"connection {connection!r} has no password, which is the key")
    if any(len(each) < SHORTEST for each in passwords):
        raise ConfigurationError(f"the password of connection {connection!r} is shorter than {SHORTEST} characters")
    return [hashlib.sha512(each.encode()).digest() for each in passwords]


def keyed_hash(key: bytes, text: bytes) -> str:
    """What nobody can make of the text, or guess it from, without the key: 64 hexadecimal digits."""
    return hmac.new(key, text, hashlib.sha256).hexdigest()
