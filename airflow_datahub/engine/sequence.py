"""The operators of a step, one after the other, as one loop over the records of a batch: runs of those that work on one
record become statements, each that works on a batch stands between two of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

from airflow_datahub.contract import BatchFunction, Code, Function, Record, Transform
from airflow_datahub.inlining import HANDED_OVER, Loop

Holds = Callable[[Record], bool]


class Sequenced:
    """Takes operators in their order, and gives the loop of all."""

    def __init__(self, *, fresh: bool):
        """`fresh`: nobody else has the records."""
        self._loops: list[Loop] = []
        self._code = Code(fresh=fresh)
        self._written = False

    def inline(self, transform: Transform, function: Function, holds: Holds | None) -> None:
        """An operator of one record; where it has an `if`, for those of which that holds."""
        code, self._written = self._code, True
        with code.under(f"if {code.constant(holds)}(record)") if holds else nullcontext():
            if not transform.inline(code):
                code.call(function)

    def then(self, batch: BatchFunction, holds: Holds | None) -> None:
        """An operator of a batch."""
        self._end()
        self._loops.append(_together(batch, holds))
        self._code = Code(fresh=False)

    def loop(self) -> Loop:
        """All of them."""
        if self._written or not self._loops:
            self._end()
        return self._loops[0] if len(self._loops) == 1 else _one_after_another(self._loops)

    def _end(self) -> None:
        if self._written or not self._loops:
            self._loops.append(self._code.loop())
        self._written = False


def _together(batch: BatchFunction, holds: Holds | None) -> Loop:
    def loop(records: Sequence[Record]) -> list[Any]:
        if holds is None:
            return [_carried(result) for result in batch(records)]
        chosen = [index for index, record in enumerate(records) if holds(record)]
        results: list[Any] = list(records)
        for index, result in zip(chosen, batch([records[index] for index in chosen]), strict=True):
            results[index] = _carried(result)
        return results

    return loop


def _carried(result: Any) -> Any:
    """A record that is rejected goes the exact way, where its step's policy is known."""
    return result if result is None or result.__class__ is dict else HANDED_OVER


def _one_after_another(loops: Sequence[Loop]) -> Loop:
    def loop(records: Sequence[Record]) -> list[Any]:
        results: list[Any] = list(records)
        live = range(len(records))
        for each in loops:
            made = each([results[index] for index in live])
            for index, result in zip(live, made, strict=True):
                results[index] = result if result is None or result.__class__ is dict else HANDED_OVER
            live = [index for index in live if results[index].__class__ is dict]  # type: ignore[assignment]
        return results

    return loop
