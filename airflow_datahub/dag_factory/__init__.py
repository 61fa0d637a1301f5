"""From a spec to Airflow's DAG: `build` is what the one-line stub beside each spec calls."""

from airflow_datahub.dag_factory.building import build

__all__ = ["build"]
