"""All cases that kill or stop runs, as many side by side as there are processors, until one fails.

    DATAHUB_KILLS=200 DATAHUB_STOPS=50 python -m tests.soak [folder or case …]

Each case is a pytest of its own with servers of its own, and a line on standard output when it has ended.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

PYTEST = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", "kill")
TWIN = "twin"
"""Part of the names of cases that must find the loss of a broken twin."""


def cases(where: Sequence[str]) -> list[str]:
    """The names of all cases; RuntimeError where they cannot be found."""
    command = [*PYTEST, "--collect-only", "-q", *where]
    listed = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if listed.returncode:
        raise RuntimeError(listed.stdout)
    return [line for line in listed.stdout.splitlines() if "::" in line]


class Soak:
    """Cases under way; the first that fails ends the others."""

    def __init__(self) -> None:
        self.landed = 0
        self.failed = ""
        self._lock = threading.Lock()
        self._under_way: set[subprocess.Popen[str]] = set()

    def run(self, case: str) -> None:
        """Run a case to its end, unless another has failed."""
        with self._lock:
            if self.failed:
                return
            command = [*PYTEST, "-q", "-rP", "--timeout", "0", case]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            self._under_way.add(process)
        started = time.monotonic()
        said, _ = process.communicate()
        with self._lock:
            self._under_way.remove(process)
            if not self.failed:  # else it was ended
                self._tell(case, process.returncode == 0, said, time.monotonic() - started)

    def _tell(self, case: str, good: bool, said: str, seconds: float) -> None:
        landed = sum(map(int, re.findall(r"^(\d+) landed$", said, re.MULTILINE)))
        print(f"{'ok    ' if good else 'FAILED'} {seconds:6.0f} s  {result(case, good, landed):36}  {case}", flush=True)
        self.landed += landed
        if not good:
            self.failed = case
            print(said)
            for process in self._under_way:
                process.send_signal(signal.SIGINT)


def result(case: str, good: bool, landed: int) -> str:
    """What a case has found."""
    count = f"{landed} landed, " if landed else ""
    if TWIN in case:
        return f"{count}the twin's fault {'found' if good else 'not found'}"
    return f"{count}0 lost, 0 doubled" if good else f"{count}see below"


def main(where: Sequence[str]) -> int:
    """Run all cases: 0 if none failed."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it, and so its children
    soak, names, started = Soak(), cases(where), time.monotonic()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(soak.run, names))
    took = f"{(time.monotonic() - started) / 60:.0f} minutes"
    if soak.failed:
        print(f"soak: FAILED after {took}: {soak.failed}")
        return 1
    print(f"soak: {len(names)} cases, {soak.landed:,} kills, crashes and stops in {took}: 0 lost, 0 doubled")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
