"""What was measured, as a table for people and as JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import triggering
from bench.measuring import Measured
from bench.triggering import Wait

Round = Mapping[str, Measured]
"""Of each program one run, close together in time."""

FOLDER = Path(__file__).parent / "results"
HEAD = "| {title} | records/s | of the reference | peak memory | CPU a record: its own | PostgreSQL's |"


def machine() -> dict[str, Any]:
    """When and where."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return {
        "when": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", "cores": os.cpu_count(), "memory_gib": round(memory, 1),
        "load": round(os.getloadavg()[0], 2), "python": platform.python_version(), "system": platform.platform(),
    }  # fmt: skip


def ratios(rounds: Sequence[Round], name: str) -> list[float]:
    """Of each pair of runs."""
    return [each[name].rate / each["reference"].rate for each in rounds if "reference" in each]


def table(title: str, rounds: Sequence[Round]) -> str:
    """Markdown: medians over the rounds; of the memory the highest."""
    lines = [HEAD.format(title=title), "|---|--:|--:|--:|--:|--:|"]
    return "\n".join(lines + [_line(name, rounds) for name in rounds[0]])


def _line(name: str, rounds: Sequence[Round]) -> str:
    def middle(what: str) -> float:
        return statistics.median(getattr(each[name], what) for each in rounds)

    found = ratios(rounds, name)
    ratio = f"{statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f})" if found else ""
    memory = max(each[name].memory for each in rounds)
    cpu = f"{middle('cpu'):.1f} µs | {middle('postgres_cpu'):.1f} µs"
    return f"| {name} | {middle('rate'):,.0f} | {ratio} | {memory:.0f} MB | {cpu} |"


def write(results: Mapping[str, Sequence[Round]], waits: Sequence[Wait]) -> str:
    """The tables of all cases, also written to `bench/results` beside all single figures as JSON."""
    where = machine()
    place = ", ".join(f"{name} {value}" for name, value in where.items())
    tables = [table(title, rounds) for title, rounds in results.items()]
    tables += [triggering.table(waits)] if waits else []
    text = "\n\n".join([*tables, place])
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{datetime.now(UTC):%Y%m%dT%H%M%S}"
    cases = {
        title: [{name: asdict(run) for name, run in each.items()} for each in all_] for title, all_ in results.items()
    }
    medians = {
        title: {name: round(statistics.median(found), 3) for name in rounds[0] if (found := ratios(rounds, name))}
        for title, rounds in results.items()
    }
    figures = {"machine": where, "ratios": medians, "cases": cases, "airflow": [asdict(wait) for wait in waits]}
    path.with_suffix(".json").write_text(json.dumps(figures, indent=2))
    path.with_suffix(".md").write_text(text + "\n")
    return text
