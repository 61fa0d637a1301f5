"""These tests import Airflow: first of all its home is set."""

import tests.airflow_home

__all__ = ["tests"]
