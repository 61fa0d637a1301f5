"""Write each word with a capital letter and small ones behind it; an apostrophe does not begin a word.

Example:
    titlecase: {field: name}

Given:
    - {name: "ANN o'neil-smith"}

Gives:
    - {name: "Ann O'neil-Smith"}
"""

from __future__ import annotations

import re

from airflow_datahub.conversion import Conversion, Convert, of_text

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


class Titlecase(Conversion):
    def conversion(self) -> Convert:
        return of_text(self.field, lambda text: _WORD.sub(lambda word: word[0][:1].title() + word[0][1:].lower(), text))
