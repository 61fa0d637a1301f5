r"""Put another text wherever a regex matches in a text.

In the new text `\1` is what the first group holds, `\g<name>` a named one, `\g<0>` all that is matched, `\\` a
backslash; in YAML such a text is best put in single quotes. The regex is RE2's, which takes a bounded time and has no
look-around; `(?i)` at its start makes capital and small letters alike. A record is rejected whose text has, or would
get, more than 1,000,000 characters.

Example:
    replace_regex: {field: day, pattern: '(\d\d)\.(\d\d)\.(\d{4})', with: '\3-\2-\1'}

Given:
    - {day: "from 15.01.2024 to 31.01.2024"}

Gives:
    - {day: "from 2024-01-15 to 2024-01-31"}
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import islice
from typing import Annotated, Any

from pydantic import Field, model_validator

from airflow_datahub.conditions.patterns import Search, searcher
from airflow_datahub.conversion import LONGEST_TEXT, Conversion, Convert, mistake, of_text, unfit
from airflow_datahub.matching import matcher

_REFERENCE = re.compile(r"\\(?:(?P<number>[0-9]{1,2})|g<(?P<name>\w+)>|(?P<other>.?))", re.DOTALL)
_ESCAPES = {"\\": "\\", "n": "\n", "t": "\t"}


class ReplaceRegex(Conversion):
    pattern: Search
    """The regex."""

    with_: str = Field(alias="with")
    """What stands there instead; "" takes the match away."""

    count: Annotated[int, Field(ge=1)] | None = None
    """Replace at most so many, from the left; left out, all."""

    @model_validator(mode="after")
    def _groups_exist(self) -> ReplaceRegex:
        _pieces(self.with_, self.pattern)
        return self

    def conversion(self) -> Convert:
        matches, write = matcher(self.field, self.pattern), _writer(_pieces(self.with_, self.pattern))

        def convert(text: str) -> str:
            made, end, length = list[str](), 0, len(text)
            for match in islice(matches(text), self.count):
                new = write(match)
                made += text[end : match.start()], new
                end, length = match.end(), length + len(new) - len(match[0])
                if length > LONGEST_TEXT:
                    raise unfit(self.field, text, f"would grow to more than {LONGEST_TEXT:,} characters")
            return "".join([*made, text[end:]])

        return of_text(self.field, convert)


def _writer(pieces: list[str | int]) -> Callable[[Any], str]:
    def write(match: Any) -> str:
        return "".join(piece if isinstance(piece, str) else match[piece] or "" for piece in pieces)

    return write


def _pieces(new: str, pattern: str) -> list[str | int]:
    """A new text as its parts: texts, and the numbers of groups."""
    compiled, pieces, end = searcher(pattern), list[str | int](), 0
    for found in _REFERENCE.finditer(new):
        pieces += new[end : found.start()], _meant(found, compiled)
        end = found.end()
    return [*pieces, new[end:]]


def _meant(found: re.Match[str], compiled: Any) -> str | int:
    if (other := found["other"]) is not None:
        if other not in _ESCAPES:
            raise mistake(rf"`with` has {found[0]!r}, which means nothing; a backslash is written `\\`")
        return _ESCAPES[other]
    name = found["number"] or found["name"]
    group = int(name) if name.isdecimal() else compiled.groupindex.get(name)
    if group is None or group > compiled.groups:
        raise mistake(f"`with` names the group {name!r}, which `pattern` does not have")
    return int(group)
