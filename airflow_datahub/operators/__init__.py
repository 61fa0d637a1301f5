"""Airflow operators: `StageOperator` runs a spec's stage, the others take adapters in Python, for hand-written DAGs."""

from airflow_datahub.operators.ingest import IngestOperator
from airflow_datahub.operators.spooling import ExtractOperator, LoadOperator, TransformOperator
from airflow_datahub.operators.stage import StageOperator
from airflow_datahub.spec.builder import adapter

__all__ = ["ExtractOperator", "IngestOperator", "LoadOperator", "StageOperator", "TransformOperator", "adapter"]
