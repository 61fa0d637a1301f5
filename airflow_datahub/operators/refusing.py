"""The task of a DAG that cannot run because its spec is wrong."""

from __future__ import annotations

from typing import Any, Never

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException


class RefusingOperator(BaseOperator):
    """Fails at once, without a retry, and says why."""

    def __init__(self, *, message: str, **kwargs: Any):
        super().__init__(**kwargs)
        self.message = message

    def execute(self, context: Any) -> Never:
        """Raise AirflowFailException with the message."""
        raise AirflowFailException(self.message)
