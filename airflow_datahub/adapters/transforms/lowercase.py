"""Write a text in small letters, as Unicode has them for all languages; a sigma at the end of a word becomes `ς`.

The rules of single languages are not applied: a Turkish `I` becomes `i`.

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
