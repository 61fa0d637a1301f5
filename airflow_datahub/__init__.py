"""Data ingestion for Apache Airflow 3: a short YAML file becomes a fast, resumable DAG."""

__version__ = "0.1.0"
