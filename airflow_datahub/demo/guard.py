"""A program between a supervisor and what it supervises, so that nothing outlives the supervisor, not even its SIGKILL.

    python -I -S guard.py --signal 15 --grace 20 [--user 65534] [--lock FILE] -- COMMAND …

It starts the command in a session of its own. When its standard input ends (the supervisor is gone) or it gets a
SIGTERM, SIGINT or SIGQUIT, it sends the signal to the command's process group, and SIGKILL to whatever is left of the
session after the grace time; the session, since Airflow gives each task a process group of its own. It exits with the
command's status (128 + N for signal N).
"""

from __future__ import annotations

import argparse
import fcntl
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

ASKED = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
LOCK_WAIT = 25
"""Seconds to wait for a predecessor that is still ending."""
IN_USE = 75
"""Exit status when another process holds the lock (EX_TEMPFAIL)."""


def main(arguments: Sequence[str]) -> int:
    """Run the command of the arguments to its end, or to ours; its exit status."""
    options = parser().parse_args(arguments)
    wake = wake_on_signals()
    lock = hold(options.lock) if options.lock else None
    if options.lock and lock is None:
        print(f"{options.lock} is held by another process: this folder is in use", file=sys.stderr)
        return IN_USE
    child = subprocess.Popen(  # noqa: S603
        options.command, stdin=subprocess.DEVNULL, start_new_session=True, **user(options.user)
    )
    end(child, wait(child, wake) or options.signal, options.grace)
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description="run a command that ends with its supervisor")
    made.add_argument("--signal", type=int, default=signal.SIGTERM, help="sent when the supervisor is gone")
    made.add_argument("--grace", type=float, default=20, help="seconds before SIGKILL")
    made.add_argument("--user", type=int, help="user and group id to run as")
    made.add_argument("--lock", type=Path, help="held while the command runs")
    made.add_argument("command", nargs="+")
    return made


def user(number: int | None) -> dict[str, Any]:
    """Arguments of Popen that drop to this user."""
    return {} if number is None else {"user": number, "group": number, "extra_groups": []}


def wake_on_signals() -> socket.socket:
    """A socket on which the numbers of the signals arrive, one byte each."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.detach())
    for number in (*ASKED, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    return reader


def hold(path: Path) -> IO[bytes] | None:
    """The locked file; None when somebody else keeps it longer than a predecessor needs for ending."""
    file = path.open("ab")
    deadline = time.monotonic() + LOCK_WAIT
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            if time.monotonic() > deadline or select.select([0], [], [], 0.1)[0]:
                return None


def wait(child: subprocess.Popen[bytes], wake: socket.socket) -> int | None:
    """Block until the child ends or we should: the signal that we got, or None."""
    while child.poll() is None:
        ready = select.select([0, wake.fileno()], [], [])[0]
        if wake.fileno() in ready:
            asked = [number for number in wake.recv(64) if number in ASKED]
            if asked:
                return asked[-1]
        if 0 in ready and not os.read(0, 64):
            return None
    return None


def end(child: subprocess.Popen[bytes], how: int, grace: float) -> None:
    """Signal the group, give the session its time, kill what is left of it."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, how)
    deadline = time.monotonic() + grace
    while (child.poll() is None or living(child.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    while left := living(child.pid):
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    child.wait()


def living(session: int) -> list[int]:
    """The processes of a session, without the dead that nobody has collected yet."""
    return [pid for pid, state in processes() if not state.startswith("Z") and session_of(pid) == session]


def session_of(pid: int) -> int | None:
    """The session a process belongs to; None when it is gone."""
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def processes() -> list[tuple[int, str]]:
    """Process ids and states of all processes; from `ps` where there is no /proc."""
    if Path("/proc/self/stat").exists():
        return [(int(name), state_of(name)) for name in os.listdir("/proc") if name.isdigit()]
    shown = subprocess.run(["ps", "-A", "-o", "pid=,stat="], capture_output=True, text=True, check=True)  # noqa: S607
    return [(int(pid), state) for pid, state in (line.split()[:2] for line in shown.stdout.splitlines())]


def state_of(pid: str) -> str:
    """One letter; Z is a dead process, and so is one that has gone since."""
    try:
        return Path("/proc", pid, "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
