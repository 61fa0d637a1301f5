"""What characters are to a reader: white space that nobody sees, marks on letters, several that are seen as one."""

from __future__ import annotations

from unicodedata import category

_UNSEEN = "\u180e\u200b\u200c\u200d\u2060\ufeff"
WHITE_SPACE = "".join(chr(code) for code in range(0x3001) if chr(code).isspace()) + _UNSEEN
"""What Unicode calls white space, the zero-width spaces and joiners, and the byte order mark."""

ACCENTS = "\u0300-\u036f\u0483-\u0487\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
"""Ranges of a regex's set: the marks on Latin, Greek and Cyrillic letters. Those of other scripts spell."""

_ZERO_WIDTH_JOINER = "\u200d"


def whole(text: str, end: int) -> int:
    """The last place up to `end` where the text can be cut between what are seen as two characters.

    It is `end` itself where a single one is longer than that."""
    place = end
    while place and _joined(text, place):
        place -= 1
    return place or end


def _joined(text: str, place: int) -> bool:
    """Whether the characters before and behind a place belong together, by the main rules of Unicode's annex 29."""
    before, behind = text[place - 1 : place], text[place : place + 1]
    if not behind or (behind <= "~" and before <= "~"):
        return before == "\r" and behind == "\n"
    return (
        category(behind)[0] == "M"
        or _extends(behind)
        or (before == _ZERO_WIDTH_JOINER and category(behind) == "So")
        or ("\ud800" <= before <= "\udbff" and "\udc00" <= behind <= "\udfff")
        or (_is_jamo(behind) and (_is_jamo(before) or "\uac00" <= before <= "\ud7a3" or "\u1100" <= before <= "\u115f"))
        or (_is_flag(before) and _is_flag(behind) and _flags_before(text, place) % 2 == 1)
    )


def _extends(character: str) -> bool:
    """A joiner, the halfwidth marks of Japanese, a skin tone, a tag of a flag."""
    return (
        character in "\u200c\u200d\uff9e\uff9f"
        or "\U0001f3fb" <= character <= "\U0001f3ff"
        or "\U000e0020" <= character <= "\U000e007f"
    )


def _is_jamo(character: str) -> bool:
    """A vowel or final consonant that Hangul joins to what stands before it."""
    return "\u1160" <= character <= "\u11ff" or "\ud7b0" <= character <= "\ud7fb"


def _is_flag(character: str) -> bool:
    """One of the letters of which two are a flag."""
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _flags_before(text: str, place: int) -> int:
    start = place
    while start and _is_flag(text[start - 1]):
        start -= 1
    return place - start
