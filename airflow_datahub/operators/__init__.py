"""Airflow operators: `StageOperator` runs a spec's stage, the others take adapters in Python, for hand-written DAGs."""

from airflow_datahub.operators.ingest import IngestOperator
from airflow_datahub.operators.stage import StageOperator
from airflow_datahub.spec.builder import adapter

__all__ = ["IngestOperator", "StageOperator", "adapter"]
