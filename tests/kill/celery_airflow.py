"""A real Airflow with two Celery workers, either of which can die as a machine does."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from airflow_datahub.demo import guard, supervision
from airflow_datahub.demo.airflow import COMPONENTS, StandaloneAirflow

WORKERS = ("worker-1", "worker-2")
FOUND_DEAD_AFTER = 8
"""Seconds without a heartbeat; docker-compose.yaml has 60."""
RECOVERY = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(FOUND_DEAD_AFTER),
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "1",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
}
"""What a deployment sets, too, with larger numbers."""


def worker(name: str) -> tuple[str, ...]:
    """The command of a worker that runs one task at a time."""
    quick = ("--skip-serve-logs", "--without-mingle", "--without-gossip")
    return ("celery", "worker", "--celery-hostname", name, "--concurrency", "1", "--pid", f"{name}.pid", *quick)


class CeleryAirflow(StandaloneAirflow):
    """Without a triggerer, which nothing here waits for."""

    components: ClassVar[Mapping[str, tuple[str, ...]]] = {
        **{name: command for name, command in COMPONENTS.items() if name != "triggerer"},
        **{name: worker(name) for name in WORKERS},
    }

    def worker_of(self, pid: int) -> str:
        """The worker that runs the task of this process."""
        started_by = parent(os.getsid(pid))
        (name,) = (name for name in WORKERS if self.processes[name].pid == started_by)
        return name

    def kill(self, name: str, pid: int) -> None:
        """SIGKILL to a worker, its children and its task of this process, none of which sees another's end before."""
        session = os.getsid(pid)
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for each in guard.living(session):
                with suppress(ProcessLookupError):
                    os.kill(each, number)
        supervision.end(self.processes.pop(name))

    def start_again(self, name: str) -> None:
        """A worker that died comes back."""
        self._start_component(name, self.components[name])


def parent(pid: int) -> int:
    """The process above another."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
