"""Stops a command and measures how long it takes to leave."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.world import World

STOPS = int(os.environ.get("DATAHUB_STOPS", "3"))
"""Stops that must land, a case; `make soak` asks for more."""
IN_TIME = 4.0
"""Seconds within which a stopped run has left."""
TOLERANCE = 0.5
"""Seconds more that a loaded machine may take."""
PATIENCE = 60.0
"""Seconds after which what a test waits for does not come."""


@dataclass
class Running:
    """A command that runs, with what it has said in a file, so that it never waits for a reader."""

    process: subprocess.Popen[bytes]
    log: Path
    seconds: float = field(default=0.0)
    """From the stop to the end."""

    @property
    def said(self) -> str:
        """Its standard error so far."""
        return self.log.read_text()

    def wait_for(self, text: str) -> None:
        """Wait until it has said so."""
        self._until(lambda: text in self.said or self.process.poll() is not None)
        assert text in self.said, self.said

    def wait_for_its_handler(self) -> None:
        """Wait until a signal does not just end it: it has read its spec, and begins."""
        self._until(lambda: self.process.poll() is not None or catches(self.process.pid, signal.SIGTERM))

    def _until(self, so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not so():
            assert time.monotonic() < deadline, self.said
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop and wait for its end: its exit status."""
        started = time.monotonic()
        self.process.send_signal(how)
        status = self.process.wait(PATIENCE)
        self.seconds = time.monotonic() - started
        return status


@contextmanager
def running(world: World, *arguments: object, **environment: str) -> Iterator[Running]:
    """Start a command in a world; it does not outlive the block."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it, and so its children
    log = world.home / f"log-{time.monotonic_ns()}"
    with log.open("wb") as file:
        process = subprocess.Popen(
            world.command(*arguments), cwd=world.home, env={**os.environ, **world.environment, **environment},
            stdin=subprocess.DEVNULL, stdout=file, stderr=file,
        )  # fmt: skip
    try:
        yield Running(process, log)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt:"))
    return bool(int(line.split()[1], 16) >> (number - 1) & 1)
