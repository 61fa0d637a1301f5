"""Write equal texts with equal characters, and without those that databases and feeds refuse.

Example:
    normalize_unicode: {field: name, form: NFKC}

Given:
    - {name: "Cafe\\u0301 №\\u0000 5"}

Gives:
    - {name: "Café No 5"}
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

from airflow_datahub.conversion import Conversion, Convert, of_text

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class NormalizeUnicode(Conversion):
    form: Literal["NFC", "NFD", "NFKC", "NFKD"] = "NFC"
    """Unicode's normal form; those with a K also make plain letters and digits of their variants."""

    strip_accents: bool = False
    """Take the marks off the letters: é becomes e."""

    strip_control: bool = True
    """Take out what cannot be shown, such as NUL and halves of surrogate pairs; tabs and line ends stay."""

    def conversion(self) -> Convert:
        return of_text(self.field, self._normal)

    def _normal(self, text: str) -> str:
        if self.strip_control:
            text = _CONTROL.sub("", text)
        if self.strip_accents:
            text = "".join(each for each in unicodedata.normalize("NFD", text) if not unicodedata.combining(each))
        return unicodedata.normalize(self.form, text)
