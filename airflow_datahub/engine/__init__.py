"""Runs a stage: batches through threads, commits in order, rejects, budgets, progress."""

from airflow_datahub.engine.leaving import in_time
from airflow_datahub.engine.running import Outcome, Task, run_pipeline

__all__ = ["Outcome", "Task", "in_time", "run_pipeline"]
