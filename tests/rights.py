"""Airflow's simple auth manager, with one who may not see one DAG."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager


class Rights(SimpleAuthManager):
    """A viewer named `stranger` sees all DAGs but `rejecting`."""

    def is_authorized_dag(self, *, user: Any, details: Any = None, **asked: Any) -> bool:
        """Whether the user may."""
        closed = details is not None and details.id == "rejecting" and user.username == "stranger"
        return not closed and super().is_authorized_dag(user=user, details=details, **asked)
