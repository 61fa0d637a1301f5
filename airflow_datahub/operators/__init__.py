"""Airflow operators: how a task runs a stage."""
