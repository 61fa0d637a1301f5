"""What one commit carries, while it is gathered."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from airflow_datahub.contract import Batch
from airflow_datahub.engine.chain import Flow
from airflow_datahub.engine.position import START, Place
from airflow_datahub.state import Counters, Reject


@dataclass(slots=True)
class Load:
    """What one commit carries: records for the sink, rejects of the steps, and the position behind them."""

    records: list[Any] = field(default_factory=list)
    origins: list[Any] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    counters: dict[str, Counters] = field(default_factory=dict)
    pieces: list[Batch] = field(default_factory=list)
    """What the records were made from."""
    ids: list[str] = field(default_factory=list)
    """Of each record in a replay."""
    read: int = 0
    size: int = 0
    place: Place = START
    due: bool = False
    """Something has come by, if only an empty page: the position may have moved."""
    finished: bool = False
    """Nothing will come behind it any more."""

    def add(self, flow: Flow, piece: Batch) -> None:
        """Take in what the steps made of a piece."""
        here, read = flow.positions, self.read
        self.positions += range(read, read + len(here)) if isinstance(here, range) else [read + each for each in here]
        self.rejects += [replace(reject, position=self.read + reject.position) for reject in flow.rejects]
        self.records += flow.records
        self.origins += flow.origins
        self.pieces.append(piece)
        self.ids += [piece.ids[position] for position in here] if piece.ids else []
        for key, counts in flow.counters.items():
            self.count(key, counts)
        self.read += len(piece.records)
        self.size += piece.size

    def count(self, step: str, counts: Counters) -> None:
        """Add to the counters of a step."""
        self.counters[step] = self.counters.get(step, Counters()) + counts
