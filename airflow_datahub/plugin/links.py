"""Buttons beside a task in Airflow's UI that lead to what its run has done.

Registered by the plugin, not by the operator: so Airflow's server makes them itself, and they are there while a task
runs and after it was killed. Those of an operator are written by the task as it ends.
"""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

from airflow.sdk import BaseOperatorLink

from airflow_datahub.operators import ExtractOperator, IngestOperator, LoadOperator, StageOperator, TransformOperator

OPERATORS: list[Any] = [StageOperator, IngestOperator, ExtractOperator, TransformOperator, LoadOperator]
"""Whose tasks have a ledger; Airflow looks for exactly these classes."""

PREFIX = "/airflow-datahub"
"""Where Airflow mounts our pages."""


def address(dag_id: str, run_id: str, page: str) -> str:
    """The address of a page of a run, on the server that shows the button."""
    from airflow.configuration import conf

    behind = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")
    return f"{behind}{PREFIX}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}/{page}"


class LedgerLink(BaseOperatorLink):
    """What each step of the run has counted."""

    name = "Ledger"
    operators: ClassVar[list[Any]] = OPERATORS

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """The page of the task's run."""
        return address(ti_key.dag_id, ti_key.run_id, "ledger")


class RejectsLink(BaseOperatorLink):
    """The records that the run has set aside."""

    name = "Rejects"
    operators: ClassVar[list[Any]] = OPERATORS

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """The page of the task's run."""
        return address(ti_key.dag_id, ti_key.run_id, "rejects")
