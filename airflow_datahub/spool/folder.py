"""The files that one task writes and the next ones read.

    <root>/<pipeline>/<generation>/start.json
                                   000001.jsonl.zst
                                   000002.jsonl.zst …

A generation is what is read from one position of the source on. Each file is one commit: its records, in sections where
they take different ways from here, and the checkpoint behind them. A file is whole or absent, and nobody replaces one:
of two tries that write the same number, the second fails and leaves (a worker that was thought dead). So the files that
are there, from 1 on, are what was committed, and a later try, also one of a later run, goes on behind the last.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import zstandard

from airflow_datahub.contract import Checkpoint
from airflow_datahub.errors import ConfigurationError, RunFailed, StopRun

MISSING = (
    "there is no folder that all workers share for what tasks hand to one another: name one by the option `spool` of "
    "[airflow_datahub], such as s3://bucket/folder or a mounted folder"
)

KEPT_SECONDS = 7 * 24 * 3600
"""How long the files of a run that failed are kept."""

NOTHING = ""
"""The hash of the file before the first."""


@dataclass(frozen=True)
class File:
    """One commit."""

    checkpoint: Checkpoint
    """Behind its records; its version is the file's number."""
    count: int
    """Records, of this file."""
    total: int
    """Records, of this file and those before it."""
    previous: str
    """Hash of the file before it."""
    paired: bool
    """Whether each line holds a record and its origin, or the record alone, which is its own origin."""
    sections: Mapping[str, int]
    """Records of this file by branch, in the order of its lines; one section without a name where there are none."""
    totals: Mapping[str, int]
    """The same of this file and those before it."""
    lines: Sequence[bytes] = ()
    digest: str = ""

    def of(self, branch: str | None) -> Sequence[bytes]:
        """The lines of a branch; None: all."""
        if branch is None:
            return self.lines
        start = sum(count for name, count in self.sections.items() if name < branch)
        return self.lines[start : start + self.sections.get(branch, 0)]


class Folder:
    """The folder of a generation; `path` has the interface of pathlib, as Airflow's ObjectStoragePath has."""

    def __init__(self, path: Path):
        self.path = path

    def start(self, given: Checkpoint | None) -> tuple[str, Checkpoint | None]:
        """Begin the generation, or find how it was begun: its id, and the position that it was begun at."""
        self.path.mkdir(parents=True, exist_ok=True)
        place = self.path / "start.json"
        begun: dict[str, Any] = {"id": uuid.uuid4().hex[:12], "checkpoint": asdict(given) if given else None}
        if place.exists() or not _create(place, json.dumps(begun).encode()):
            begun = json.loads(place.read_bytes())
        return begun["id"], checkpoint_of(begun["checkpoint"])

    def last(self) -> File | None:
        """The last file of those that follow one another without a gap."""
        number = 0
        while self._file(number + 1).exists():
            number += 1
        return self.read(number) if number else None

    def write(
        self, checkpoint: Checkpoint, sections: Mapping[str, Sequence[bytes]], paired: bool, before: File | None
    ) -> File:
        """Make the commit durable. StopRun where another try has written that one already."""
        named = dict(sorted(sections.items()))
        lines = [line for each in named.values() for line in each]
        counts = {name: len(each) for name, each in named.items()}
        totals = Counter(before.totals if before else {})
        totals.update(counts)
        head: dict[str, Any] = {
            "count": len(lines),
            "total": len(lines) + (before.total if before else 0),
            "previous": before.digest if before else NOTHING,
            "paired": paired,
            "sections": counts,
            "totals": dict(totals),
        }
        top = msgspec.json.encode({"checkpoint": asdict(checkpoint), **head})
        content = zstandard.ZstdCompressor(level=1).compress(b"\n".join([top, *lines]))
        if not _create(self._file(checkpoint.version), content):
            raise StopRun(
                f"another try has written {self._file(checkpoint.version)}; this try ends, what the other wrote stays"
            )
        return File(checkpoint, **head, digest=_digest(content))

    def read(self, number: int) -> File:
        """A file. RunFailed where it is gone or broken."""
        place = self._file(number)
        try:
            content = place.read_bytes()
            head, *lines = zstandard.ZstdDecompressor().decompressobj().decompress(content).split(b"\n")
            words = msgspec.json.decode(head)
        except (OSError, zstandard.ZstdError, msgspec.DecodeError) as error:
            raise RunFailed(f"{place} cannot be read: {error}") from error
        checkpoint = checkpoint_of(words.pop("checkpoint"))
        assert checkpoint
        if len(lines) != words["count"]:
            raise RunFailed(f"{place} holds {len(lines)} records, not {words['count']}")
        return File(checkpoint, **words, lines=lines, digest=_digest(content))

    def read_all(self, first: int, last: int, digest: str) -> Iterator[File]:
        """The files of these numbers, each proven to be the one that the writer wrote; the last has that hash."""
        file = self.read(first) if first <= last else None
        while file:
            number = file.checkpoint.version + 1
            following = self.read(number) if number <= last else None
            if file.digest != (following.previous if following else digest):
                raise RunFailed(f"{self._file(number - 1)}, or the file behind it, is not the one that was written")
            yield file
            file = following

    def claim(self, reader: str) -> None:
        """Be the one that reads this. ConfigurationError where another pipeline is."""
        place = self.path / "reader"
        if not _create(place, reader.encode()) and (other := place.read_bytes().decode()) != reader:
            raise ConfigurationError(
                f"what was extracted is read by {other!r} already: one task reads what an ExtractOperator or a "
                f"TransformOperator gives, because the position moves once it is loaded; extract it twice instead"
            )

    def remove(self) -> None:
        """Take the files away; no error where they are gone."""
        if isinstance(self.path, Path):
            shutil.rmtree(self.path, ignore_errors=True)
        elif self.path.exists():
            self.path.rmdir(recursive=True)

    def _file(self, number: int) -> Path:
        return self.path / f"{number:06d}.jsonl.zst"


def sweep(folder: Path, keep: str, version: int) -> None:
    """Take away what runs have left that nobody goes on with: generations before the one of that version, and those of
    single runs once they are a week old. (A bucket does not know how old a folder is: there a lifecycle rule must.)"""
    for other in folder.iterdir() if folder.exists() else ():
        number = other.name.removeprefix("v")
        over = int(number) < version if number.isdigit() else isinstance(other, Path) and _is_old(other)
        if other.name != keep and over:
            Folder(other).remove()


def _is_old(folder: Path) -> bool:
    return time.time() - folder.stat().st_mtime > KEPT_SECONDS


def checkpoint_of(words: dict[str, Any] | None) -> Checkpoint | None:
    """What `asdict` made of a checkpoint."""
    return Checkpoint(**{**words, "last": tuple(words["last"])}) if words else None


def _create(place: Path, content: bytes) -> bool:
    """Write a file as a whole; False, and nothing written, where it is there."""
    if not isinstance(place, Path):  # an object is whole or absent by itself
        if place.exists():
            return False
        place.write_bytes(content)
        return True
    part = place.with_name(f".{place.name}.{uuid.uuid4().hex}")
    try:
        with part.open("xb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(part, place)
        _settle(place.parent)
        return True
    except FileExistsError:
        return False
    finally:
        part.unlink(missing_ok=True)


def _settle(folder: Path) -> None:
    """Make the folder's new name durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
