"""A world for the command line: a spec in a folder, connections in the environment, and what the database holds."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from airflow_datahub.demo.mock_api import MockApi
from tests import forking
from tests.forking import FORKS

ROOT = Path(__file__).parent.parent
EVENTS = ROOT / "dags" / "pipelines" / "datasync_events.yaml"
EVENTS_FIXED = (
    EVENTS.read_text()
    .replace('throughput: {batch_size: "${WRITE_BATCH_SIZE:-10000}"}\n', "")
    .replace('"${API_PAGE_LIMIT:-1000}"', "1000")
)
"""The spec without what the environment may change, to be changed."""
EVENTS_ALONE = EVENTS_FIXED.partition("tests:")[0]
"""The same without its tests."""


def http_connection(api: MockApi, **changes: Any) -> str:
    """The mock API as an Airflow connection."""
    extra = {"auth": "api_key", "header": "X-API-Key", "allow_private": True}
    connection = {"conn_type": "http", "host": f"{api.url}/api/v1", "password": api.api_key, "extra": extra}
    return json.dumps(connection | changes)


@dataclass
class World:
    """One pipeline, one database, one home."""

    home: Path
    dsn: str
    api: MockApi
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self.environment = {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW_CONN_DATASYNC": http_connection(self.api),
            "AIRFLOW_CONN_WAREHOUSE": self.dsn,
            "PYTHONPATH": str(ROOT),
            **self.environment,
        }

    def spec(self, text: str, name: str = "datasync_events") -> Path:
        """Write a spec."""
        path = self.home / f"{name}.yaml"
        path.write_text(text)
        return path

    def command(self, *arguments: object) -> list[str]:
        """The command line of `airflow-datahub`."""
        return [sys.executable, "-m", "airflow_datahub.cli", *map(str, arguments)]

    def call(self, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `airflow-datahub` to its end."""
        out, err = self.home / "stdout", self.home / "stderr"
        given = ([str(each) for each in arguments], self.environment | environment, self.home, out, err)
        process = FORKS.Process(target=forking.command, args=given)
        process.start()
        process.join(120)
        process.kill()
        assert process.exitcode is not None, f"it hangs: {err.read_text()}"
        return subprocess.CompletedProcess(given[0], process.exitcode, out.read_text(), err.read_text())

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the database."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def count(self, table: str = "ingested_events") -> int:
        """Rows of a table; 0 while it is not there."""
        if self.query(f"select to_regclass('{table}')")[0][0] is None:
            return 0
        return int(self.query(f"select count(*) from {table}")[0][0])
