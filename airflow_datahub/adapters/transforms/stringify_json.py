"""Write a value as a text that holds JSON.

Example:
    stringify_json: {field: tags}

Given:
    - {tags: [red, 1, null]}

Gives:
    - {tags: '["red",1,null]'}
"""

from __future__ import annotations

from airflow_datahub.conversion import Conversion, Convert
from airflow_datahub.texts import json_text


class StringifyJson(Conversion):
    sort_keys: bool = False
    """Write the names of objects in order, so that equal values give equal texts."""

    def conversion(self) -> Convert:
        return lambda value: json_text(self.field, value, canonical=self.sort_keys).decode()
