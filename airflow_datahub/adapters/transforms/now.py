"""Write when the run began: the same moment for all its records and all its tries.

Example:
    now: {to: loaded_at}

Given:
    - {id: a}

Gives:
    - {id: a, loaded_at: "2024-01-15T00:00:00Z"}
"""

from __future__ import annotations

from airflow_datahub.conditions.values import canonical
from airflow_datahub.contract import Function, Record, Run, Transform
from airflow_datahub.paths import FieldPath, looked_into, setter


class Now(Transform):
    to: FieldPath
    """The field that gets the moment, as ISO 8601 in UTC; `format_date` writes it in another form."""

    def carries(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        return None if looked_into(names, self.to) else names

    def compile(self, run: Run) -> Function:
        moment, put = canonical(run.started), setter(self.to)

        def write(record: Record) -> Record:
            put(record, moment)
            return record

        return write
