"""The folder that the demo lives in: held by one demo at a time, and where PostgreSQL can reach its part of it."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airflow_datahub.errors import ConfigurationError


@contextmanager
def held(folder: Path) -> Iterator[Path]:
    """Make the folder and hold it; ConfigurationError when another demo does. The lock ends with the process."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise ConfigurationError(
                f"another demo (process {file.read().strip() or 'unknown'}) runs in {folder}: "
                "stop it, or give this one a folder of its own with --folder"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield folder


def for_postgres(folder: Path) -> Path:
    """Where PostgreSQL keeps its data: `folder`, or for root, where the user that PostgreSQL drops to could not enter
    it (a private home), a folder for temporary files to which `folder` becomes a link.
    """
    if os.geteuid() != 0 or enterable(folder.parent):
        return folder
    if not folder.is_dir():
        made = Path(tempfile.mkdtemp(prefix="airflow-datahub-demo-"))
        made.chmod(0o711)
        folder.unlink(missing_ok=True)
        folder.symlink_to(made)
    return folder.resolve() / "server"


def enterable(folder: Path) -> bool:
    """Whether every user may pass through to this folder."""
    return all(place.stat().st_mode & 0o001 for place in (folder.resolve(), *folder.resolve().parents))
