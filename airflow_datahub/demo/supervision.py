"""Starts processes that end with this one, whatever ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

GUARD = Path(__file__).with_name("guard.py")


def start(
    command: Sequence[str | Path],
    *,
    log: Path,
    environment: Mapping[str, str],
    folder: Path,
    ending: signal.Signals = signal.SIGTERM,
    grace: float = 20,
    lock: Path | None = None,
    user: int | None = None,
    output: int | None = None,
) -> subprocess.Popen[bytes]:
    """Start the command behind a guard; what it prints is added to `log` (or goes to `output`).

    A signal sent to the returned process ends the command and all it started: `grace` seconds after the signal by
    SIGKILL. `lock` is a file that only one living command may hold.
    """
    options = [f"--signal={int(ending)}", f"--grace={grace}"]
    options += [f"--lock={lock}"] if lock else []
    options += [f"--user={user}"] if user is not None else []
    with log.open("ab") as file:
        return subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", GUARD, *options, "--", *command],
            stdin=subprocess.PIPE, stdout=output or file, stderr=file, cwd=folder, env=dict(environment),
            start_new_session=True,
        )  # fmt: skip


def end(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM) -> int:
    """Signal the command, wait until it and all it started are gone; its exit status."""
    if process.poll() is None:
        process.send_signal(how)
    status = process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe:
            pipe.close()
    return status


def importable(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment in which a Python finds this package, installed or not."""
    path = [str(Path(__file__).parents[2]), environment.get("PYTHONPATH", "")]
    return {**environment, "PYTHONPATH": os.pathsep.join(filter(None, path))}


def tail(log: Path, characters: int = 2000) -> str:
    """The end of a log; empty when there is none."""
    return log.read_text(errors="replace")[-characters:] if log.exists() else ""
