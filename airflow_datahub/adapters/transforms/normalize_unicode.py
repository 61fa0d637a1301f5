"""Write equal texts with equal characters; on demand without accents, and without what databases and feeds refuse.

PostgreSQL takes neither NUL nor half a surrogate pair: `remove_control: true` makes a text that it takes. A text with
more than 1,000 marks on one letter, which no language has, is rejected.

Example:
    normalize_unicode: {field: name, form: NFKC, remove_control: true}

Given:
    - {name: "Cafe\\u0301 №\\u0000 5"}

Gives:
    - {name: "Café No 5"}
"""

from __future__ import annotations

import re
from typing import Literal
from unicodedata import combining, normalize

from airflow_datahub.characters import ACCENTS
from airflow_datahub.conversion import Conversion, Convert, of_text, unfit

_ACCENTS = re.compile(f"[{ACCENTS}]+")
_PLANES = "".join(chr(plane + 0xFFFE) + chr(plane + 0xFFFF) for plane in range(0, 0x110000, 0x10000))
_CONTROL = re.compile(f"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef{_PLANES}]+")
_SURROGATE = re.compile("[\ud800-\udfff]")
_MOST_MARKS = 1000
_TOO_MANY_MARKS = re.compile(rb"[^\x00]{%d}" % (_MOST_MARKS + 1))


class NormalizeUnicode(Conversion):
    form: Literal["NFC", "NFD", "NFKC", "NFKD"] = "NFC"
    """Unicode's normal form: C puts a letter and its accent into one character, D takes them apart; those with a K also
    make plain letters and digits of their variants, such as full-width ones and ligatures."""

    strip_accents: bool = False
    """Take the accents off Latin, Greek and Cyrillic letters: é becomes e. What is a letter of its own, such as ø or ł,
    stays."""

    remove_control: bool = False
    """Take out control characters such as NUL, except tabs and line ends, characters that Unicode never assigns, and
    halves of surrogate pairs; two halves that belong together become their character."""

    def conversion(self) -> Convert:
        return of_text(self.field, self._normal)

    def _normal(self, text: str) -> str:
        if self.remove_control:
            text = _CONTROL.sub("", _paired(text))
        if text.isascii():
            return text
        if self.strip_accents:
            text = _ACCENTS.sub("", self._normalized("NFD", text))
        return self._normalized(self.form, text)

    def _normalized(self, form: Literal["NFC", "NFD", "NFKC", "NFKD"], text: str) -> str:
        # the time that Python takes to put marks in order is proportional to the square of their number
        if len(text) > _MOST_MARKS and _TOO_MANY_MARKS.search(bytes(map(combining, text))):
            raise unfit(self.field, text, f"has more than {_MOST_MARKS:,} marks on one letter")
        return normalize(form, text)


def _paired(text: str) -> str:
    if not _SURROGATE.search(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "ignore")
