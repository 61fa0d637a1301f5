"""A lock between the processes of one machine, which the system frees when its holder ends, however that happens."""

from __future__ import annotations

import fcntl
import hashlib
import os
from pathlib import Path

from airflow_datahub.errors import ConfigurationError
from airflow_datahub.locks.lock import Keeper, Lost, Wanted


class FileLock(Keeper):
    """An empty file that is locked; it stays, since who waits may have it open."""

    def __init__(self, wanted: Wanted, folder: Path):
        """Raises ConfigurationError where the file cannot be made."""
        self._path = folder / f"{hashlib.sha256(wanted.name.encode()).hexdigest()[:32]}.lock"
        self.place = f"the file {self._path}"
        self._mine = wanted.holder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigurationError(f"the lock {wanted.name!r}: {self.place}: {error.strerror}") from error

    def take(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        os.truncate(self._file, 0)
        os.pwrite(self._file, self._mine.encode("utf-8", "replace"), 0)
        return True

    def holder(self) -> str:
        return os.pread(self._file, 1000, 0).decode("utf-8", "replace")

    def check(self) -> None:
        try:
            same = os.fstat(self._file).st_ino == self._path.stat().st_ino
        except OSError:
            same = False
        if not same:
            raise Lost("the file was taken away")

    def close(self) -> None:
        os.close(self._file)
