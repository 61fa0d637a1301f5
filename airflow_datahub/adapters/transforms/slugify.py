"""Make a name for an address of a text in any script: small letters a to z and digits, a separator between the words.

Other scripts are written in Latin letters (`Größe` becomes `grosse`, `北京` `bei-jing`); `replacements` says where a
language writes them otherwise. Apostrophes (`Ann's` becomes `anns`), trade marks and emoji are left out. A
text of which nothing is left is rejected, and so is one of more than 10,000 characters.

Example:
    slugify: {field: title, to: slug, replacements: {ä: ae, ö: oe, ü: ue, "&": " und "}}

Given:
    - {title: T-Shirt}
    - {title: "Größe & Łódź"}

Gives:
    - {title: T-Shirt, slug: t-shirt}
    - {title: "Größe & Łódź", slug: groesse-und-lodz}
"""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Literal

from pydantic import Field

from airflow_datahub.conversion import Conversion, Convert, of_text, unfit

_LONGEST = 10_000
_LEFT_OUT = str.maketrans({'"': " "} | dict.fromkeys("'’ʼ`´™℠®©", ""))
_LETTERS_LEFT_OUT = str.maketrans("", "", "'\"")
"""What the library writes for letters that have no sound, such as a soft sign."""
_WORD = re.compile("[a-z0-9]+")


class Slugify(Conversion):
    separator: Literal["-", "_", ".", "~", ""] = "-"
    """What stands between words: one of the characters that an address may hold as they are, or nothing."""

    max_length: Annotated[int, Field(ge=1)] | None = None
    """Characters at most: the name is cut at the end of a word, or within the first word where that alone is longer."""

    replacements: dict[Annotated[str, Field(min_length=1)], str] = Field(default_factory=dict)
    """Texts and what is written for them, before all else; capital and small letters are alike."""

    def conversion(self) -> Convert:
        from text_unidecode import unidecode

        replacements = [(_composed(old), new) for old, new in self.replacements.items()]

        def convert(text: str) -> str:
            if len(text) > _LONGEST:
                raise unfit(self.field, text, f"is too long for a name: at most {_LONGEST:,} characters are read")
            text = _composed(text)
            for old, new in replacements:
                text = text.replace(old, new)
            words = _WORD.findall(unidecode(text).lower().translate(_LETTERS_LEFT_OUT))
            if not words:
                raise unfit(self.field, text, "leaves nothing for a name: it has no letter and no digit")
            return self._joined(words)

        return of_text(self.field, convert)

    def _joined(self, words: list[str]) -> str:
        if self.max_length is None:
            return self.separator.join(words)
        name = words[0][: self.max_length]
        for word in words[1:]:
            longer = f"{name}{self.separator}{word}"
            if len(longer) > self.max_length:
                break
            name = longer
        return name


def _composed(text: str) -> str:
    """The text in small letters, each as one character where there is one; full-width letters become plain ones."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFC", text).translate(_LEFT_OUT).lower())
