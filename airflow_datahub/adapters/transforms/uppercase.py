"""Write a text in capital letters, as Unicode has them for all languages: `straße` becomes `STRASSE`.

The rules of single languages are not applied: a Turkish `i` becomes `I`, Greek letters keep their accents.

Example:
    uppercase: {field: country}

Given:
    - {country: de}

Gives:
    - {country: DE}
"""

from __future__ import annotations

from airflow_datahub.conversion import Conversion, Convert, of_text


class Uppercase(Conversion):
    def conversion(self) -> Convert:
        return of_text(self.field, str.upper)
