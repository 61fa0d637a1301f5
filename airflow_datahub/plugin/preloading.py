"""Imports before the fork what nearly every parsed spec and every task of ours would import after it.

Scheduler and DAG processor fork themselves for each task and each file. What a task imports takes it a second; the
first DAG that a process serialises costs it 75 ms of imports, ten times as much as all the rest of a file.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from airflow.listeners import hookimpl

WARM = """
version: 1
schedule: "0 * * * *"
params: {since: {type: [string, "null"], format: date-time, default: null}}
steps:
  - {key: extract, type: extract, adapter: http_api, config: {connection: any, path: /any}}
  - key: tidy
    type: transform
    operators:
      - parse_date: {field: at}
      - rename: {from: a, to: b}
      - filter: {keep: {field: a, ne: b}}
      - to_number: {field: c}
  - {key: load, type: load, adapter: postgres, config: {connection: any, table: any, key: [id]}}
"""

ENGINE = (
    "airflow_datahub.engine",
    "airflow_datahub.http.client",
    "airflow_datahub.http.page",
    "airflow_datahub.http.reading",
    "airflow_datahub.postgres.writing",
)
"""With the adapters of WARM; nothing of others, whose imports may do anything."""


class PreloadListener:
    """What Airflow calls."""

    @hookimpl
    def on_starting(self, component: Any) -> None:
        """A process of Airflow begins: one that lives long, which has a Job, or a task's own."""
        if type(component).__module__.startswith("airflow.jobs.") and "triggerer" not in sys.argv[:2]:
            preload()


def preload() -> None:
    """Do once what each child would do."""
    from airflow.serialization.serialized_objects import DagSerialization

    from airflow_datahub.dag_factory.building import dag_of
    from airflow_datahub.spec import loads

    DagSerialization.to_dict(dag_of(loads(WARM, "warm.yaml")))
    for module in ENGINE:
        import_module(module)
