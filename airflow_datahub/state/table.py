"""The ledger of a run as a table for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def table(steps: Mapping[str, Mapping[str, Any]], of: str = "step") -> Iterator[str]:
    """A line a step, below the names of its counts; a count that no step has is left out."""
    names = [name for name in next(iter(steps.values()), {}) if any(counts[name] for counts in steps.values())]
    shown = [[of, *(name.removeprefix("records_") for name in names)]]
    shown += [[key, *(_number(counts[name]) for name in names)] for key, counts in steps.items()]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for line in shown:
        first, *others = (f"{text:{'<' if i == 0 else '>'}{widths[i]}}" for i, text in enumerate(line))
        yield "  ".join([first, *others])


def _number(value: float) -> str:
    return f"{value:.2f}" if isinstance(value, float) else f"{value:,}"
