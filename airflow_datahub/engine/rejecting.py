"""Rejects of one stream on their way into the store: provisional before the commit, open behind it (R11)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from airflow_datahub.contract import Checkpoint, Run, Stream
from airflow_datahub.state import Reject
from airflow_datahub.state.store import Store


@dataclass
class Rejecting:
    """Rejects that one try of a run sets aside."""

    store: Store
    stream: Stream
    run: Run
    owner: str
    _unconfirmed: bool = False

    def settle(self, checkpoint: Checkpoint | None) -> None:
        """Decide what an earlier try left in doubt, by what the checkpoint shows."""
        version, owner = (checkpoint.version, checkpoint.owner) if checkpoint else (0, None)
        self.store.settle(self.stream, version, owner)

    def add(self, version: int, rejects: Sequence[Reject], *, provisional: bool) -> None:
        """Store what the commit of `version` sets aside."""
        if rejects or self._unconfirmed:
            shown = [replace(reject, reason=self.run.mask(reject.reason)) for reject in rejects]
            self.store.add_rejects(
                self.stream, self.owner, self.run.run_id, self.run.revision, version, shown, provisional=provisional
            )
            self._unconfirmed = provisional

    def confirm(self, version: int) -> None:
        """The commit of `version` is durable: its rejects are open."""
        if self._unconfirmed:
            self.store.confirm(self.stream, version, self.owner)
            self._unconfirmed = False
