"""Imports before the fork what every parsed spec and every task of ours would import after it, which takes a second.

Scheduler and DAG processor start the processes that run tasks and parse files by forking themselves.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from airflow.listeners import hookimpl

MODULES = (
    "airflow_datahub.dag_factory",
    "airflow_datahub.engine",
    "airflow_datahub.adapters.sources.http_api",
    "airflow_datahub.http.client",
    "airflow_datahub.http.page",
    "airflow_datahub.http.reading",
    "airflow_datahub.adapters.sinks.postgres",
    "airflow_datahub.postgres.writing",
)
"""The engine, and the adapters that most pipelines have; nothing of others, whose imports may do anything."""


class PreloadListener:
    """What Airflow calls."""

    @hookimpl
    def on_starting(self, component: Any) -> None:
        """A process of Airflow begins: one that lives long, which is a Job, or a task's own."""
        if type(component).__module__.startswith("airflow.jobs."):
            for module in MODULES:
                import_module(module)
