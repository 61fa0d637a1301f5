"""Records that are made again from their pages when somebody asks for them, which is seldom.

Once a batch is encoded, its records are needed only for what the sink refuses. The bytes that they came from take a
third of their memory, and steps are pure: the same bytes give the same records.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

from airflow_datahub.contract import Batch
from airflow_datahub.engine.chain import Chain


class Remade(Sequence[Any]):
    """The records of a load, as its pieces give them; made at the first look and then kept."""

    def __init__(self, chain: Chain, pieces: Sequence[Batch], count: int):
        self._chain, self._pieces, self._count = chain.apart(), pieces, count
        self._records: list[Any] | None = None

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if self._records is None:
            self._records = [record for piece in self._pieces for record in self._chain.apply(piece).records]
        return self._records[index]
