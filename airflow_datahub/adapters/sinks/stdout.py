"""Print each record as one line of JSON, for trying a spec.

Nothing is remembered: every run begins at the start.

Example:
    adapter: stdout
    config: {}
"""

from __future__ import annotations

import sys
from typing import Any, ClassVar

import msgspec

from airflow_datahub.contract import Batch, Checkpoint, Run, Settle, Sink, Stream, Writer, Written


class Stdout(Sink):
    keeps_checkpoint: ClassVar[bool] = False

    def open(self, run: Run, stream: Stream) -> Writer:
        return _Printer()


class _Printer(Writer):
    def prepare(self, batch: Batch) -> Any:
        return batch, msgspec.json.Encoder(decimal_format="number").encode_lines(batch.records)

    def commit(self, prepared: Any, checkpoint: Checkpoint, settle: Settle) -> Written:
        batch, lines = prepared
        sys.stdout.write(lines.decode())
        sys.stdout.flush()
        written = Written(inserted=len(batch.records))
        settle(written)
        return written
