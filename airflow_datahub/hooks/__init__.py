"""Airflow hooks: thin faces over our own clients, for the connection form, its test button and hand-written DAGs."""
