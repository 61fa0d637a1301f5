"""Write records into files for the tasks behind this one; the sink of ExtractOperator and TransformOperator.

Example:
    adapter: airflow_datahub.spool.spool:Spool
    config: {start: "{{ params.start }}"}
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from airflow_datahub.contract import (
    Batch,
    Checkpoint,
    Opaque,
    Refusal,
    Run,
    Settle,
    Sink,
    Stream,
    Templated,
    Writer,
    Written,
)
from airflow_datahub.errors import ConfigurationError
from airflow_datahub.spool.folder import File, Folder, checkpoint_of

_encode = msgspec.json.Encoder(decimal_format="number").encode


class Spool(Sink):
    """A record goes through as it came where nobody has changed it."""

    start: Templated[Any]
    """`folder`, below the root of all spools, and `checkpoint`, the position that the first try begins at."""

    def open(self, run: Run, stream: Stream) -> Writer:
        if run.spool is None:
            raise ConfigurationError(
                "there is no folder for what tasks hand to one another: set [airflow_datahub] spool"
            )
        return _Spooling(Folder(run.spool / self.start["folder"]), checkpoint_of(self.start["checkpoint"]))


class _Spooling(Writer):
    def __init__(self, folder: Folder, given: Checkpoint | None):
        self._folder = folder
        self._begun = folder.start(given)[1]
        self._last: File | None = folder.last()

    def resume(self) -> Checkpoint | None:
        return self._last.checkpoint if self._last else self._begun

    def opaque(self) -> Opaque:
        return _everything

    def prepare(self, batch: Batch) -> tuple[list[bytes], bool, list[Refusal]]:
        """The lines, whether they are pairs, and the records that JSON cannot say."""
        origins = batch.records if batch.origins is None else batch.origins
        lines: list[bytes] = []
        refused: list[Refusal] = []
        pairs: list[tuple[bytes, bytes]] = []
        for index, (record, origin) in enumerate(zip(batch.records, origins, strict=True)):
            try:
                lines.append(line := _line(record))
            except (TypeError, ValueError, RecursionError) as error:
                refused.append(Refusal(index, f"not JSON: {error}"))
                continue
            pairs.append((line, line if origin is record else _line(origin)))
        if all(line == origin or _compact(line) == _compact(origin) for line, origin in pairs):
            return lines, False, refused
        return [b"[%b,%b]" % pair for pair in pairs], True, refused

    def commit(self, prepared: Any, checkpoint: Checkpoint, settle: Settle) -> Written:
        lines, paired, refused = prepared
        written = Written(inserted=len(lines), refused=refused)
        behind = replace(checkpoint, counters=dict(settle(written)))
        self._last = self._folder.write(behind, lines, paired, self._last)
        return written


def _everything(name: str) -> bool:
    return True


def _compact(line: bytes) -> bytes:
    """The same JSON without white space between its parts."""
    return msgspec.json.format(line, indent=-1)


def _line(record: Any) -> bytes:
    """JSON in one line; what came as JSON keeps its numbers as they were written."""
    if isinstance(record, bytes | bytearray | memoryview):
        record = msgspec.Raw(record)
    line = _encode(record)
    return _compact(line) if b"\n" in line else line
