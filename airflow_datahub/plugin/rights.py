"""Who may see what: the only place that imports Airflow's own authentication, which is not promised to stay as it is.

Airflow adds none to a plugin's routes, so each route names one of these.
"""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends

MAY_SEE_RUNS: Any = Depends(requires_access_dag("GET", DagAccessEntity.RUN))
"""Of the DAG that the path names as `dag_id`: 401 for nobody, 403 for who may not."""

MAY_SEE_DATA: Any = Depends(requires_access_dag("GET", DagAccessEntity.TASK_LOGS))
"""The same of what a run has read: who may read its log may read its rejects."""
