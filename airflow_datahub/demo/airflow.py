"""A real Airflow of our own: its four components on SQLite, on a free port, ending with the process that started it."""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar

import httpx

from airflow_datahub.demo import supervision
from airflow_datahub.demo.airflow_rest import AirflowRest
from airflow_datahub.demo.postgres import free_port
from airflow_datahub.errors import ConfigurationError, RunFailed

COMPONENTS: Mapping[str, tuple[str, ...]] = {
    "api-server": ("api-server",),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
"""Started by ourselves and not by `airflow standalone`, which leaves three of them behind when it is ended, and serves
logs on fixed ports."""

BEATING = ("scheduler", "dag-processor", "triggerer")
"""Those of whose heartbeats the API server tells."""

LOGIN = "admin"


class StandaloneAirflow(AirflowRest):
    """Airflow with its home in `home` and the DAGs of `dags`; a home that is there already is used again.

    `connections` are Airflow connections by id, each an URI or a mapping of `conn_type`, `host`, … `environment` goes
    to all components and overrides our configuration (`AIRFLOW__SECTION__OPTION`).
    """

    components: ClassVar[Mapping[str, tuple[str, ...]]] = COMPONENTS
    """Their commands, by name."""

    def __init__(
        self,
        home: Path,
        dags: Path,
        *,
        connections: Mapping[str, str | Mapping[str, Any]] | None = None,
        environment: Mapping[str, str] | None = None,
        port: int | None = None,
        plugins: Path | None = None,
        parse_interval: int = 5,
    ):
        self.home = home.absolute()
        self.dags = dags.absolute()
        self.port = port or free_port()
        self.connections = connections or {}
        self.extra_environment = environment or {}
        self.plugins = (plugins or self.home / "plugins").absolute()
        self.parse_interval = parse_interval
        """Seconds between two looks at a DAG file."""
        self.logs = self.home / "component-logs"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.secrets = stored_secrets(self.home)
        super().__init__(f"http://127.0.0.1:{self.port}", LOGIN, self.secrets["password"])

    def start(self, timeout: float = 300) -> StandaloneAirflow:
        """Migrate the database, start the components, wait until all are healthy; RunFailed with a log when not."""
        started = datetime.now(UTC)
        for folder in (self.logs, self.plugins):
            folder.mkdir(parents=True, exist_ok=True)
        passwords = self.home / "passwords.json"
        passwords.touch(mode=0o600)
        passwords.write_text(json.dumps({LOGIN: self.password}))
        try:
            self._migrate(timeout)
            for name in self.components:
                self._start_component(name, self.components[name])
            self._wait_until_healthy(started, time.monotonic() + timeout)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End all components, by SIGKILL those that still run after 20 s; `start` may follow."""
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        for process in self.processes.values():
            supervision.end(process)
        self.processes.clear()

    def log_tails(self) -> str:
        """The end of every component's log, for a diagnosis."""
        return "\n".join(f"--- {name}\n{supervision.tail(self._log(name))}" for name in ("migrate", *self.components))

    def __enter__(self) -> StandaloneAirflow:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.close()

    def environment(self) -> dict[str, str]:
        """What the components find in their environment; nothing of an Airflow that we may run in ourselves."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "_AIRFLOW"))}
        local = ",".join(filter(None, ("127.0.0.1,localhost", inherited.get("NO_PROXY") or inherited.get("no_proxy"))))
        return {
            **supervision.importable(inherited),
            "PYTHONUNBUFFERED": "1",
            "NO_PROXY": local,
            "no_proxy": local,
            "AIRFLOW_HOME": str(self.home),
            **{f"AIRFLOW__{name.upper()}": value for name, value in self._options().items()},
            **{f"AIRFLOW_CONN_{name.upper()}": connection(value) for name, value in self.connections.items()},
            **self.extra_environment,
        }

    def _options(self) -> dict[str, str]:
        return {
            "core__dags_folder": str(self.dags),
            "core__plugins_folder": str(self.plugins),
            "core__executor": "LocalExecutor",
            "core__parallelism": "4",
            "core__load_examples": "False",
            "core__fernet_key": self.secrets["fernet_key"],
            "core__auth_manager": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
            "core__simple_auth_manager_users": f"{LOGIN}:admin",
            "core__simple_auth_manager_passwords_file": str(self.home / "passwords.json"),
            "core__execution_api_server_url": f"{self.url}/execution/",
            "database__sql_alchemy_conn": f"sqlite:///{self.home / 'airflow.db'}?timeout=60",
            "logging__base_log_folder": str(self.home / "logs"),
            "api__host": "127.0.0.1",
            "api__port": str(self.port),
            "api__base_url": self.url,
            "api__workers": "1",
            "api__secret_key": self.secrets["secret_key"],
            "api_auth__jwt_secret": self.secrets["jwt_secret"],
            "dag_processor__refresh_interval": str(self.parse_interval),
            "dag_processor__min_file_process_interval": str(self.parse_interval),
            "dag_processor__bundle_refresh_check_interval": "1",
        }

    def _start_component(self, name: str, command: tuple[str, ...]) -> None:
        self.processes[name] = supervision.start(
            [*airflow_command(), *command],
            log=self._log(name), environment=self.environment(), folder=self.home, lock=self.home / f"{name}.lock",
        )  # fmt: skip

    def _migrate(self, timeout: float) -> None:
        """Bring the database to Airflow's version, unless the last start did."""
        marker, current = self.home / "migrated", airflow_version()
        if marker.exists() and marker.read_text() == current:
            return
        self._start_component("migrate", ("db", "migrate"))
        try:
            status = self.processes["migrate"].wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise RunFailed(f"`airflow db migrate` took over {timeout:.0f} s") from error
        if status:
            raise RunFailed(f"`airflow db migrate` failed:\n{supervision.tail(self._log('migrate'))}")
        supervision.end(self.processes.pop("migrate"))
        marker.write_text(current)

    def _wait_until_healthy(self, started: datetime, deadline: float) -> None:
        self._wait(lambda: {"api-server"}.intersection(self._unhealthy(started)), deadline)
        self.warm_up()
        self._wait(lambda: set(self._unhealthy(started)), deadline)

    def _wait(self, missing: Callable[[], set[str]], deadline: float) -> None:
        while lacking := missing():
            for name, process in self.processes.items():
                if process.poll() is not None:
                    raise RunFailed(f"Airflow's {name} ended:\n{supervision.tail(self._log(name))}")
            if time.monotonic() > deadline:
                raise RunFailed(f"Airflow did not get ready, missing: {', '.join(lacking)}\n{self.log_tails()}")
            time.sleep(0.2)

    def _unhealthy(self, started: datetime) -> list[str]:
        """The components that have not shown a heartbeat since we started them; a home used again has old ones."""
        try:
            health = self.health()
        except httpx.HTTPError:
            return ["api-server"]
        beating = [name.replace("-", "_") for name in BEATING if name in self.components]
        parts = {name: health.get(name) or {} for name in beating}
        return [
            name for name, part in parts.items()
            if part.get("status") != "healthy" or beat(part.get(f"latest_{name}_heartbeat")) < started
        ]  # fmt: skip

    def _log(self, name: str) -> Path:
        return self.logs / f"{name}.log"


def airflow_version() -> str:
    """The version of the installed Airflow; ConfigurationError where there is none."""
    try:
        return version("apache-airflow-core")
    except PackageNotFoundError as error:
        raise ConfigurationError(
            f"{sys.executable} has no Airflow: install it with `pip install apache-airflow`"
        ) from error


def airflow_command() -> list[str]:
    """The Airflow of the Python that runs us."""
    beside = Path(sys.executable).parent / "airflow"
    return [str(beside)] if beside.exists() else [sys.executable, "-m", "airflow"]


def beat(text: str | None) -> datetime:
    """The moment of a heartbeat; the distant past when there was none."""
    return datetime.fromisoformat(text) if text else datetime.min.replace(tzinfo=UTC)


def connection(value: str | Mapping[str, Any]) -> str:
    """A connection as the environment variable that Airflow reads."""
    return value if isinstance(value, str) else json.dumps(value)


def stored_secrets(home: Path) -> dict[str, str]:
    """Password and keys of this home: made once, readable for its owner only."""
    home.mkdir(parents=True, exist_ok=True)
    file = home / "secrets.json"
    if not file.exists():
        made = {name: secrets.token_urlsafe(48) for name in ("secret_key", "jwt_secret")}
        made |= {"password": secrets.token_urlsafe(9), "fernet_key": base64.urlsafe_b64encode(os.urandom(32)).decode()}
        fresh = file.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps(made))
        fresh.rename(file)
    return dict(json.loads(file.read_text()))
