"""Where a regex matches in a text of a record, in bounded time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from airflow_datahub.conditions.patterns import searcher
from airflow_datahub.conversion import unfit

Matches = Callable[[str], Iterator[Any]]
"""Gives the matches in a text, from the left, each as those of `re`; RejectRecord for a text that it cannot search."""

_MOST_STEPS = 5_000_000_000
"""One search takes a time proportional to the text, but some patterns (`x*y|x`) look to its end for every match. So
many steps take such a pattern some seconds."""


def matcher(field: str, pattern: str) -> Matches:
    """The function that finds a pattern in the texts of a field."""
    compiled = searcher(pattern)

    def matches(text: str) -> Iterator[Any]:
        most = _MOST_STEPS // (len(text) + 1)
        try:
            for number, match in enumerate(compiled.finditer(text)):
                if number == most:
                    raise unfit(field, text, f"has more than {most:,} matches of {pattern!r}; split it before")
                yield match
        except UnicodeEncodeError as error:
            reason = "holds half a surrogate pair; `normalize_unicode` with `remove_control: true` takes it out"
            raise unfit(field, text, reason) from error

    return matches
