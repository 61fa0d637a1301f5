"""The README's first command, as a newcomer types it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.world import ROOT

pytestmark = pytest.mark.airflow


def demo(folder: Path) -> str:
    run = subprocess.run(
        ["make", "demo", f"FOLDER={folder}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        stdin=subprocess.DEVNULL,
    )
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-5000:]
    return run.stdout


@pytest.mark.timeout(600)
def test_the_demo_loads_100_000_events_and_leaves_nothing_running(tmp_path: Path) -> None:
    said = demo(tmp_path)
    assert "ingestion complete" in said
    counted = re.search(r"([\d,]+) rows in warehouse.ingested_events, counted by PostgreSQL; ([\d,]+) new", said)
    assert counted
    assert counted[1] == counted[2]
    assert int(counted[1].replace(",", "")) > 95_000
    assert re.search(r"[\d,]+ events/s", said)
    assert re.search(r"Airflow: http://127\.0\.0\.1:\d+, login admin, password \S+", said)
    assert left_over(tmp_path) == []


def left_over(folder: Path) -> list[str]:
    """Command lines of processes that still work in the folder."""
    lines = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = each.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line:
            lines.append(line)
    return lines
