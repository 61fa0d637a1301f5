"""Write a number, true or false as text; texts stay as they are.

Lists and objects are rejected: `stringify_json` writes them.

Example:
    to_string: {field: id}

Given:
    - {id: 12}
    - {id: 1.50}
    - {id: true}

Gives:
    - {id: "12"}
    - {id: "1.5"}
    - {id: "true"}
"""

from __future__ import annotations

from airflow_datahub.conversion import Conversion, Convert
from airflow_datahub.texts import as_text


class ToString(Conversion):
    def conversion(self) -> Convert:
        return lambda value: as_text(self.field, value)
