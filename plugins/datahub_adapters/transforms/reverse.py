"""Turn a text around: a template for an operator of your own. The file's name is the name in the YAML.

Example:
    - reverse: {field: name}

Given:
    - {name: Ada}

Gives:
    - {name: adA}
"""

from __future__ import annotations

from airflow_datahub.contract import Function, Record, Run, Transform
from airflow_datahub.errors import RejectRecord


class Reverse(Transform):
    field: str
    """The field that is turned around."""

    def compile(self, run: Run) -> Function:
        def apply(record: Record) -> Record:
            text = record.get(self.field)
            if not isinstance(text, str):
                raise RejectRecord(f"a text is needed, this is {type(text).__name__}", self.field)
            record[self.field] = text[::-1]
            return record

        return apply
