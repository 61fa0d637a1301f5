# airflow dag of supplier_prices.yaml, written by "airflow-datahub stubs"
from airflow_datahub.dag_factory import build

dag = build(__file__)
