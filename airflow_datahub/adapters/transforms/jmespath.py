"""Take a value out of the record by a JMESPath expression (https://jmespath.org).

Where it finds nothing, which is null, nothing is written.

Example:
    jmespath: {expression: "items[?price > `10`].sku", to: dear}

Given:
    - {items: [{sku: a, price: 5}, {sku: b, price: 15}]}

Gives:
    - {items: [{sku: a, price: 5}, {sku: b, price: 15}], dear: [b]}
"""

from __future__ import annotations

from copy import deepcopy
from typing import Annotated

from pydantic import AfterValidator, Field

from airflow_datahub.contract import Function, Record, Run, Transform
from airflow_datahub.conversion import mistake
from airflow_datahub.errors import RejectRecord
from airflow_datahub.paths import FieldPath, setter

_LONGEST = 2_000


def _readable(text: str) -> str:
    import jmespath

    try:
        jmespath.compile(text)
    except (jmespath.exceptions.JMESPathError, ValueError, RecursionError) as error:
        raise mistake(f"not a JMESPath expression: {str(error).splitlines()[0]}") from error
    return text


class Jmespath(Transform):
    expression: Annotated[str, Field(min_length=1, max_length=_LONGEST), AfterValidator(_readable)]
    """The expression, over the whole record."""

    to: FieldPath
    """The field that gets what it finds."""

    required: bool = False
    """Reject a record in which it finds nothing."""

    def compile(self, run: Run) -> Function:
        import jmespath

        search, put = jmespath.compile(self.expression).search, setter(self.to)

        def find(record: Record) -> Record:
            try:
                value = search(record)
            except Exception as error:  # its functions raise what they like for values of other types
                raise RejectRecord(f"{self.expression!r}: {str(error)[:200]}") from error
            if value is not None:
                put(record, deepcopy(value))
            elif self.required:
                raise RejectRecord(f"{self.expression!r} finds nothing")
            return record

        return find
