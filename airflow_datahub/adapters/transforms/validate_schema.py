"""Reject records that a JSON Schema does not allow; the reason names all that is wrong, each with its path.

Example:
    validate_schema:
      schema:
        required: [id]
        properties: {price: {type: number, minimum: 0}}

Given:
    - {id: 1, price: 5}

Gives:
    - {id: 1, price: 5}
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from airflow_datahub.contract import Function, Record, Run, Transform
from airflow_datahub.conversion import mistake
from airflow_datahub.errors import RejectRecord
from airflow_datahub.json_schemas import checker


class ValidateSchema(Transform):
    json_schema: dict[str, Any] = Field(alias="schema")
    """The JSON Schema, draft 2020-12 unless it says another. Formats are checked, addresses never fetched."""

    @model_validator(mode="after")
    def _is_schema(self) -> ValidateSchema:
        try:
            checker(self.json_schema)
        except ValueError as error:
            raise mistake(str(error)) from error
        return self

    def compile(self, run: Run) -> Function:
        check = checker(self.json_schema)

        def validate(record: Record) -> Record:
            if wrong := check(record):
                raise RejectRecord("; ".join(each.reason for each in wrong), wrong[0].field)
            return record

        return validate
