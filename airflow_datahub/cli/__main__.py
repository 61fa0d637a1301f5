"""`python -m airflow_datahub.cli`."""

from airflow_datahub.cli.application import main

main()
