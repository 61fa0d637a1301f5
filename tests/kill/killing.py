"""Starts a run and ends it, at random or at a chosen point of its work, again and again."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Self

from tests.forking import FORKS
from tests.kill import crashing
from tests.kill.crashing import What

KILLS = int(os.environ.get("DATAHUB_KILLS", "3"))
"""Kills that must land, a case; `make soak` asks for more."""

LONGEST = 120.0
"""Seconds after which a run hangs."""


@dataclass
class Started:
    """A run under way, forked from a process that has loaded all that a run needs: a start costs little."""

    folder: Path
    process: ForkServerProcess
    talk: Connection

    @classmethod
    def at(
        cls, point: str, nth: int, what: What, environment: Mapping[str, str], folder: Path, *arguments: object
    ) -> Self:
        """Start `airflow-datahub` with these arguments; `what` happens at the point, see `crashing.py`."""
        ours, theirs = FORKS.Pipe()
        texts = [str(each) for each in arguments]
        process = FORKS.Process(target=crashing.run, args=(point, nth, what, texts, environment, folder, theirs))
        process.start()
        theirs.close()
        return cls(folder, process, ours)

    def reached(self) -> bool:
        """Wait until it is at its point; False where it ended without."""
        ready = wait([self.talk, self.process.sentinel], LONGEST)
        assert ready, f"it hangs: {self.said()}"
        try:
            return bool(self.talk.poll() and self.talk.recv())
        except EOFError:
            return False

    def go_on(self) -> None:
        """Let it go on after a point where it waits."""
        self.talk.send("go on")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it is still there."""
        if self.process.is_alive() and self.process.pid:
            with suppress(ProcessLookupError):  # the fork server has seen its end before we did
                os.kill(self.process.pid, number)

    def ended(self, within: float = LONGEST) -> int | None:
        """Wait for its end: its exit status; None if it is still there."""
        self.process.join(within)
        return self.process.exitcode

    def said(self) -> str:
        """What it has said so far."""
        log = self.folder / f"log.{self.process.pid}"
        return log.read_text() if log.exists() else ""


def again_and_again(once: Callable[[random.Random], bool], *, seed: int, times: int = KILLS) -> None:
    """Call `once(chance)` until it has landed so many times; says on standard output how often it has."""
    chance = random.Random(seed)
    landed = 0
    try:
        for _ in range(times * 10):
            landed += once(chance)
            if landed >= times:
                return
    finally:
        print(landed, "landed")
    raise AssertionError(f"only {landed} of {times} landed: the delays or points do not fit the run")
