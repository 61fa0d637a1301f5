"""From a spec to Airflow's DAG: `build` is what the one-line stub beside each spec calls, `load_folder` does without
stubs, `dag_of` takes a pipeline that is written in Python."""

from airflow_datahub.dag_factory.building import build, dag_of
from airflow_datahub.dag_factory.loader import load_folder

__all__ = ["build", "dag_of", "load_folder"]
