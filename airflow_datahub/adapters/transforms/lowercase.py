"""Write a text in small letters, as Unicode has them.

Example:
    lowercase: {field: email}

Given:
    - {email: Ann@Example.COM}

Gives:
    - {email: ann@example.com}
"""

from __future__ import annotations

from airflow_datahub.conversion import Conversion, Convert, of_text


class Lowercase(Conversion):
    def conversion(self) -> Convert:
        return of_text(self.field, str.lower)
