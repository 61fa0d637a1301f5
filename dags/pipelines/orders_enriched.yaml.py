# airflow dag of orders_enriched.yaml, written by "airflow-datahub stubs"
from airflow_datahub.dag_factory import build

dag = build(__file__)
