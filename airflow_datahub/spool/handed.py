"""The records that a task before returned.

Example:
    adapter: airflow_datahub.spool.handed:Handed
    config: {what: "{{ params.input_1 }}"}
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from airflow_datahub.contract import Batch, Cursor, Run, Source, Templated
from airflow_datahub.errors import ConfigurationError
from airflow_datahub.spool.folder import MISSING, Folder
from airflow_datahub.spool.manifest import Manifest
from airflow_datahub.spool.together import batch_of

TOGETHER = 5_000
"""Records of a batch."""


class Handed(Source):
    """A cursor counts only for what it was made for: with other records reading begins at the start."""

    what: Templated[Any]
    """The records, a list of mappings, or the manifest of files that hold them."""

    def renewed(self, run: Run, cursor: Cursor | None) -> bool:
        return not isinstance(cursor, dict) or cursor.get("of") != self._given(run).name

    def read(self, run: Run, cursor: Cursor | None) -> Iterator[Batch]:
        given = self._given(run)
        if cursor is None:  # so that a position in the first batch tells what it is a position in
            yield Batch([], cursor={"of": given.name, "at": 0}, pages=0)
        for at, batch in given.batches(cursor["at"] if cursor else 0):
            batch.cursor = {"of": given.name, "at": at}
            yield batch

    def _given(self, run: Run) -> _Records | _Files:
        manifest = Manifest.of(self.what)
        return _Files(manifest, run.spool) if manifest else _Records(self.what, run.run_id)


class _Files:
    def __init__(self, manifest: Manifest, root: Path | None):
        if root is None:
            raise ConfigurationError(MISSING)
        self.name, self._manifest, self._folder = manifest.spool, manifest, Folder(root / manifest.folder)

    def batches(self, start: int) -> Iterator[tuple[int, Batch]]:
        """A batch a file, and how many files are behind it."""
        for file in self._folder.read_all(start + 1, self._manifest.files, self._manifest.digest):
            batch = batch_of(file)
            batch.total = self._manifest.records
            yield file.checkpoint.version, batch


class _Records:
    """Of one run: the same records in another run are others."""

    def __init__(self, what: Any, run_id: str):
        if isinstance(what, str | bytes | Mapping) or not isinstance(what, Sequence):
            raise ConfigurationError(
                f"the task before returned {type(what).__name__}; it must return a list of records, each a mapping"
            )
        self._records = list(what)
        self.name = f"{run_id} {hashlib.sha256(_encoded(self._records)).hexdigest()[:16]}"

    def batches(self, start: int) -> Iterator[tuple[int, Batch]]:
        """The records, and how many are behind a batch."""
        for at in range(start, len(self._records), TOGETHER):
            records = self._records[at : at + TOGETHER]
            yield at + len(records), Batch(records, size=len(_encoded(records)), total=len(self._records))


def _encoded(records: Any) -> bytes:
    try:
        return msgspec.json.encode(records, order="deterministic")
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"the task before returned what is not JSON: {error}") from None
