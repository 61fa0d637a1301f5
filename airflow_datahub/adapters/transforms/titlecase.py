"""Write each word with a capital letter and small ones behind it.

An apostrophe begins a new word only behind a single letter and before three or more: `O'Neil`, `L'Oréal`, but `Don't`
and `I'll`. Letters behind a digit stay small: `3rd`. A hyphen does begin a new word.

Example:
    titlecase: {field: name}

Given:
    - {name: "ANN o'neil-smith's 2nd shop"}

Gives:
    - {name: "Ann O'Neil-Smith's 2nd Shop"}
"""

from __future__ import annotations

import re
from collections.abc import Callable

from airflow_datahub.characters import ACCENTS
from airflow_datahub.conversion import Conversion, Convert, of_text

_LETTER = rf"[^\W_][{ACCENTS}]*"
_WORD = re.compile(rf"(?P<prefix>{_LETTER}['’](?=(?:{_LETTER}){{3}}))?(?P<rest>(?:{_LETTER})+(?:['’](?:{_LETTER})+)*)")


class Titlecase(Conversion):
    keep_capitals: bool = False
    """Leave the letters behind the first as they are: USA, McDonald."""

    def conversion(self) -> Convert:
        capital = _capital_kept if self.keep_capitals else _capital
        return of_text(self.field, lambda text: _WORD.sub(lambda word: _each_part(word, capital), text))


def _each_part(word: re.Match[str], capital: Callable[[str], str]) -> str:
    return capital(word["prefix"] or "") + capital(word["rest"])


def _capital(word: str) -> str:
    # the whole word in small letters first: a sigma at its end is another letter
    return word[:1].title() + word.lower()[len(word[:1].lower()) :]


def _capital_kept(word: str) -> str:
    return word[:1].title() + word[1:]
