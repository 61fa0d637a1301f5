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

from airflow_datahub.contract import Batch, Checkpoint, Refusal, Run, Settle, Simulated, Sink, Stream, Writer, Written


class Stdout(Sink):
    keeps_checkpoint: ClassVar[bool] = False

    def open(self, run: Run, stream: Stream) -> Writer:
        return _Printer()

    def simulate(self, run: Run, stream: Stream, batch: Batch) -> Simulated:
        lines, refused = _Printer().prepare(batch)
        return Simulated(Written(inserted=len(lines), refused=refused))


class _Printer(Writer):
    def prepare(self, batch: Batch) -> tuple[list[bytes], list[Refusal]]:
        """The lines, and the records that JSON cannot say."""
        encode = msgspec.json.Encoder(decimal_format="number").encode
        lines: list[bytes] = []
        refused: list[Refusal] = []
        for index, record in enumerate(batch.records):
            try:
                lines.append(encode(record))
            except (TypeError, ValueError) as error:
                refused.append(Refusal(index, f"not JSON: {error}"))
        return lines, refused

    def commit(self, prepared: Any, checkpoint: Checkpoint, settle: Settle) -> Written:
        lines, refused = prepared
        sys.stdout.write("".join(f"{line.decode()}\n" for line in lines))
        sys.stdout.flush()
        written = Written(inserted=len(lines), refused=refused)
        settle(written)
        return written
