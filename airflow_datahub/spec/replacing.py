"""Putting a file in another's place, whole or not at all: Airflow may read a folder at any moment."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Durable once this returns; a link stays one, and a file keeps its mode. Raises OSError."""
    path = path.resolve()
    mode = path.stat().st_mode & 0o7777 if path.exists() else 0o666 & ~_mask()
    descriptor, beside = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(descriptor, mode)
            file.flush()
            os.fsync(descriptor)
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise


def _mask() -> int:
    """What the process keeps others from, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
