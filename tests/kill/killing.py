"""Kills a command at random moments of its work, again and again, and looks after each kill."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

KILLS = int(os.environ.get("DATAHUB_KILLS", "3"))
"""Kills that must land, a case; `make soak` asks for more."""


def run_and_kill(
    argv: Sequence[str], environment: Mapping[str, str], folder: Path, armed_by: str, delay: float
) -> tuple[int, str]:
    """Start the command, wait for a line with `armed_by`, kill its process group `delay` seconds later.

    Its exit status (-9 when the kill landed) and what it said.
    """
    process = subprocess.Popen(
        argv, cwd=folder, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    said: list[str] = []
    timer = threading.Timer(delay, lambda: os.killpg(process.pid, signal.SIGKILL))
    assert process.stdout
    for line in process.stdout:
        said.append(line)
        if armed_by in line and not timer.is_alive() and not timer.finished.is_set():
            timer.start()
    status = process.wait()
    timer.cancel()
    return status, "".join(said)


def kill_again_and_again(
    once: Callable[[float], int],
    *,
    seed: int,
    longest: float,
    kills: int,
    look: Callable[[], None],
    finished: Callable[[], None],
) -> None:
    """Call `once(delay)` until `kills` of its runs were killed; `look` after each, `finished` after those that ended.

    The delays come from the seed, evenly spread up to `longest` seconds.
    """  # fmt: skip
    chance = random.Random(seed)
    landed = 0
    for _ in range(kills * 10):
        status = once(chance.uniform(0, longest))
        look()
        landed += status == -signal.SIGKILL
        if status == 0:
            finished()
        assert status in (0, -signal.SIGKILL), f"the run ended with {status}"
        if landed >= kills:
            return
    raise AssertionError(f"only {landed} of {kills} kills landed: the delays do not fit the run")
