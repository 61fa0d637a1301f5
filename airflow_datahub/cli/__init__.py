"""The command `airflow-datahub`. One file a command; none of them imports Airflow.

Exit codes: 0 done, 1 failed, 2 spec or call wrong, 3 interrupted.
"""

from __future__ import annotations

from airflow_datahub.cli.application import main

__all__ = ["main"]
