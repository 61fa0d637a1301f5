"""The soak tells of each case, and ends at the first that fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.world import ROOT

CASES = """
import time, pytest
pytestmark = pytest.mark.kill
def test_kills(): print(7, "landed")
def test_a_twin_loses(): print(2, "landed")
"""
FAILING = """
def test_that_fails():
    time.sleep(1)
    print(3, "landed")
    raise AssertionError("4 lost: in the source")
@pytest.mark.parametrize("n", range(50))
def test_that_is_long(n): time.sleep(1000)
"""


def soak(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = kill\n")
    return subprocess.run(
        [sys.executable, "-m", "tests.soak"], cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=280,
    )  # fmt: skip


def test_each_case_has_its_line(tmp_path: Path) -> None:
    ended = soak(tmp_path, CASES)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "7 landed, 0 lost, 0 doubled" in ended.stdout
    assert "2 landed, the twin's fault found" in ended.stdout
    assert ended.stdout.splitlines()[-1].startswith("soak: 2 cases, 9 kills, crashes and stops in 0 minutes: 0 lost")


def test_a_failure_ends_all(tmp_path: Path) -> None:
    ended = soak(tmp_path, CASES + FAILING)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "3 landed, see below" in ended.stdout
    assert "AssertionError: 4 lost" in ended.stdout
    assert "test_that_fails" in ended.stdout.splitlines()[-1]
    assert "0 lost, 0 doubled" not in ended.stdout.splitlines()[-1]
