"""From a spec to Airflow's DAG: `build` is what the one-line stub beside each spec calls, `load_folder` does without
stubs."""

from airflow_datahub.dag_factory.building import build
from airflow_datahub.dag_factory.loader import load_folder

__all__ = ["build", "load_folder"]
