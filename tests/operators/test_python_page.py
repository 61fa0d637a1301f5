"""Every block of docs/python.md is a DAG file, which Airflow runs; so is the example in dags/."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest
from airflow.sdk import DAG

from airflow_datahub.demo.mock_api import MockApi
from tests.operators.conftest import Run
from tests.world import ROOT, http_connection

BLOCKS = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "python.md").read_text(), re.MULTILINE | re.DOTALL)
FILES = [ROOT / "dags" / "hand_written.py"]
TEXTS = [*BLOCKS, *(path.read_text() for path in FILES)]


def dags(text: str) -> list[DAG]:
    """The DAGs that a file makes."""
    space: dict[str, Any] = {"__name__": "dag_file", "__file__": "dag_file.py"}
    exec(compile(text, "dag_file.py", "exec"), space)
    return [value for value in space.values() if isinstance(value, DAG)]


@pytest.mark.parametrize("text", [pytest.param(text, id=str(n)) for n, text in enumerate(TEXTS)])
def test_it_runs(text: str, run_dag: Run, database: str, mock_api: MockApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", database)
    monkeypatch.setenv("AIRFLOW_CONN_DATASYNC", http_connection(mock_api))
    (dag,) = dags(text)
    found = run_dag(dag)
    assert "failed" not in str(found)
    with psycopg.connect(database, autocommit=True) as connection:
        assert connection.execute("select pipeline from _datahub_checkpoint").fetchall()
