"""What Airflow loads of this package by itself, through the entry point group `airflow.plugins`."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin


class AirflowDatahubPlugin(AirflowPlugin):
    """The plugin `airflow_datahub`; the plain name `datahub` belongs to another product."""

    name = "airflow_datahub"
