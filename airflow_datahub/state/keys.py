"""The keys that the store's payloads are encrypted with."""

from __future__ import annotations

import os
import tempfile
from base64 import urlsafe_b64encode
from pathlib import Path

from airflow_datahub.contract import Log
from airflow_datahub.errors import ConfigurationError


def keys_beside(path: Path, configured: str | None, log: Log) -> str:
    """Keys for an SQLite store: those configured and then that of the file, which is made where there is none at all.

    The file's key stays behind a configured one, so that what was stored before somebody configured it can be read.
    """
    own = _read(path)
    if not (configured or own):
        _make(path)
        own = _read(path)
        log.info(
            "encryption_key_made", path=str(path), advice="keep it with the store, or set AIRFLOW__CORE__FERNET_KEY"
        )
    return ",".join(filter(None, (configured, own)))


def shared_keys(configured: str | None, store: str) -> str:
    """Keys for a store that several machines share: each must have the same, so none is made here."""
    if configured:
        return configured
    raise ConfigurationError(
        f"{store} is shared, and there is no key to encrypt rejects with: set AIRFLOW__CORE__FERNET_KEY (or "
        "AIRFLOW__AIRFLOW_DATAHUB__ENCRYPTION_KEY) to the same Fernet key on every machine"
    )


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip() or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the encryption key {path} cannot be read: {error}") from error


def _make(path: Path) -> None:
    """Put a new key there, whole or not at all; where another process was faster, its key stays."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(urlsafe_b64encode(os.urandom(32)))  # as Fernet's own generate_key
            file.flush()
            os.fsync(file.fileno())
        os.link(name, path)
    except FileExistsError:
        return
    finally:
        os.unlink(name)
    _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
