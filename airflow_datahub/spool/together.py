"""The records that stages before have written into files, one stage after the other.

Example:
    adapter: airflow_datahub.spool.together:Together
    config: {inputs: "{{ inputs }}"}
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Raw

from airflow_datahub.contract import Batch, Cursor, Run, Source, Templated
from airflow_datahub.errors import ConfigurationError
from airflow_datahub.replayed import on
from airflow_datahub.spool.folder import MISSING, File, Folder
from airflow_datahub.spool.manifest import Manifest

_parts = msgspec.json.Decoder(list[Raw]).decode
_name = msgspec.json.Decoder(str).decode


class Together(Source):
    """A cursor tells how many files of each input are read; it counts only for the inputs that it was made for."""

    inputs: Templated[Any]
    """Of each input the manifest, the `branch` that is read, null for all, and the `way` from there to here."""

    def renewed(self, run: Run, cursor: Cursor | None) -> bool:
        return not isinstance(cursor, dict) or cursor.get("of") != self._name

    def read(self, run: Run, cursor: Cursor | None) -> Iterator[Batch]:
        at = list(cursor["at"]) if cursor else [0] * len(self.inputs)
        if cursor is None:  # so that a position in the first batch tells what it is a position in
            yield Batch([], cursor={"of": self._name, "at": list(at)}, pages=0)
        total = sum(manifest.by(branch) for manifest, branch, _ in self._given)
        for number, (manifest, branch, way) in enumerate(self._given):
            for file in _folder(run, manifest).read_all(at[number] + 1, manifest.files, manifest.digest):
                at[number] = file.checkpoint.version
                batch = batch_of(file, branch)
                batch.ids = [on(name, way) for name in batch.ids] if batch.ids else None
                batch.cursor, batch.total = {"of": self._name, "at": list(at)}, total
                yield batch

    @property
    def _given(self) -> list[tuple[Manifest, str | None, str]]:
        return [(read, each["branch"], each["way"]) for each in self.inputs if (read := Manifest.of(each))]

    @property
    def _name(self) -> str:
        return name_of([(manifest.spool, branch) for manifest, branch, _ in self._given])


def name_of(inputs: list[tuple[str, str | None]]) -> str:
    """A name for these branches of these spools, read one after the other."""
    return hashlib.sha256(msgspec.json.encode(inputs)).hexdigest()[:16]


def _folder(run: Run, manifest: Manifest) -> Folder:
    if run.spool is None:
        raise ConfigurationError(MISSING)
    return Folder(run.spool / manifest.folder)


def batch_of(file: File, branch: str | None = None) -> Batch:
    """The records of a branch, or of the whole file, with their origins, and their names where they have some."""
    lines = file.of(branch)
    size = sum(map(len, lines))
    if not file.paired:
        return Batch(list(map(Raw, lines)), None, size=size)
    every = [_parts(line) for line in lines]
    names = [_name(parts[2]) for parts in every if len(parts) > 2]
    return Batch([parts[0] for parts in every], None, [parts[1] for parts in every], size, ids=names or None)
