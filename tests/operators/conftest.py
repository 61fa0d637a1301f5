"""Airflow's database for the tests that run whole DAGs in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def run_dag() -> Run:
    """Runs a DAG to its end with real Airflow; what each task returned, or the state that is not success."""
    from airflow.utils.db import initdb

    from tests.operators.dags import run

    initdb()
    return run
