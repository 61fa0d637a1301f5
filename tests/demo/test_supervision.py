from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_datahub.demo import supervision
from airflow_datahub.demo.guard import IN_USE, living

Until = Callable[[Callable[[], bool]], None]

OBEDIENT = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
PARENT_OF_A_GROUP = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {STUBBORN!r}], process_group=0)
print(child.pid, flush=True)
time.sleep(60)
"""


def start(folder: Path, program: str, grace: float = 5, lock: Path | None = None) -> subprocess.Popen[bytes]:
    return supervision.start(
        [sys.executable, "-c", program], log=folder / "log", environment=os.environ, folder=folder,
        grace=grace, lock=lock, output=subprocess.PIPE,
    )  # fmt: skip


def first_line(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout
    return process.stdout.readline().decode().strip()


def alive(pid: int) -> bool:
    try:
        return not Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0].startswith("Z")
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(("program", "status"), [("pass", 0), ("raise SystemExit(7)", 7)])
def test_the_status_is_the_commands(tmp_path: Path, program: str, status: int) -> None:
    process = start(tmp_path, program)
    assert process.wait(10) == status
    supervision.end(process)


def test_what_it_says_is_logged(tmp_path: Path) -> None:
    process = start(tmp_path, "import sys; print('out'); print('trouble', file=sys.stderr)")
    process.wait(10)
    assert first_line(process) == "out"
    supervision.end(process)
    assert supervision.tail(tmp_path / "log") == "trouble\n"
    assert supervision.tail(tmp_path / "nothing") == ""


def test_signals_reach_the_command(tmp_path: Path) -> None:
    process = start(tmp_path, OBEDIENT)
    assert first_line(process) == "up"
    assert supervision.end(process, signal.SIGQUIT) == 128 + signal.SIGQUIT
    assert supervision.end(process) == 128 + signal.SIGQUIT


def test_a_stubborn_command_is_killed_after_its_grace(tmp_path: Path) -> None:
    process = start(tmp_path, STUBBORN, grace=0.3)
    assert first_line(process) == "up"
    started = time.monotonic()
    assert supervision.end(process) == 128 + signal.SIGKILL
    assert 0.3 <= time.monotonic() - started < 5


def test_nothing_is_left_of_other_process_groups(tmp_path: Path) -> None:
    process = start(tmp_path, PARENT_OF_A_GROUP, grace=0.5)
    child = int(first_line(process))
    assert alive(child)
    supervision.end(process)
    assert not alive(child)


def test_what_a_command_leaves_behind_is_ended(tmp_path: Path) -> None:
    program = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {OBEDIENT!r}]); print(p.pid)"
    process = start(tmp_path, program)
    assert process.stdout
    said = process.stdout.read().split()  # the end of the output is the end of all that could write it
    assert process.wait(10) == 0
    assert not alive(int(next(word for word in said if word.isdigit())))


def test_everything_ends_with_a_killed_supervisor(tmp_path: Path, until: Until) -> None:
    program = f"""
import os, sys, time
from pathlib import Path
from airflow_datahub.demo import supervision
supervision.start([sys.executable, "-c", {PARENT_OF_A_GROUP!r}], log=Path("log"), environment=os.environ,
                  folder=Path("."), grace=0.5, output=1)
time.sleep(60)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(supervision.__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=tmp_path, env=environment
    ) as supervisor:
        child = int(first_line(supervisor))
        session = os.getsid(child)
        supervisor.kill()
        until(lambda: not alive(child) and not living(session))


def test_a_lock_has_one_holder(tmp_path: Path) -> None:
    holder = start(tmp_path, OBEDIENT, lock=tmp_path / "lock")
    assert first_line(holder) == "up"
    second = start(tmp_path, OBEDIENT, lock=tmp_path / "lock")
    assert second.stdin
    second.stdin.close()  # its supervisor is gone: it waits no longer
    assert second.wait(10) == IN_USE
    assert "this folder is in use" in supervision.tail(tmp_path / "log")
    supervision.end(holder)


def test_a_lock_is_waited_for(tmp_path: Path) -> None:
    holder = start(tmp_path, OBEDIENT, lock=tmp_path / "lock")
    assert first_line(holder) == "up"
    second = start(tmp_path, OBEDIENT, lock=tmp_path / "lock")
    supervision.end(holder)
    assert first_line(second) == "up"
    supervision.end(second)
