# airflow dag of events_by_day.yaml, written by "airflow-datahub stubs"
from airflow_datahub.dag_factory import build

dag = build(__file__)
