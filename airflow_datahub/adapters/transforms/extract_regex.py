"""Take a part of a text out by a regex.

The result is what the first group holds, or all that the pattern matches where it has no group; with named groups it is
an object of them. Where nothing is found the record stays as it is, unless there is a `default`. The regex is RE2's,
which takes a bounded time and has no look-around; `(?i)` at its start makes capital and small letters alike.

Example:
    extract_regex: {field: title, pattern: "([0-9]+) ?ml", to: volume}

Given:
    - {title: "Shampoo 250 ml"}
    - {title: Soap}

Gives:
    - {title: "Shampoo 250 ml", volume: "250"}
    - {title: Soap}
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import Field, model_validator

from airflow_datahub.conditions.patterns import Search, searcher
from airflow_datahub.conditions.values import Constant
from airflow_datahub.contract import Function, Record, Run, Transform
from airflow_datahub.conversion import mistake, of_text, unfit
from airflow_datahub.matching import matcher
from airflow_datahub.paths import MISSING, FieldPath, absent, getter, looked_into, read_by, setter


class ExtractRegex(Transform):
    field: FieldPath
    """The text that is searched; one of more than 1,000,000 characters is rejected."""

    pattern: Search
    """The regex. It is found anywhere in the text; `^` and `$` anchor it."""

    to: FieldPath | None = None
    """The field that gets the result; left out, it is the same one."""

    group: Annotated[int, Field(ge=0)] | str | None = None
    """The group that is taken, by its number or its name; 0 is all that is matched."""

    all: bool = False
    """Give a list of what every match holds, instead of the first."""

    default: Constant = None
    """What is written where nothing is found; null: nothing is."""

    required: bool = False
    """Reject a record in which nothing is found, or the field is missing or null."""

    @model_validator(mode="after")
    def _fits(self) -> ExtractRegex:
        if self.required and self.default is not None:
            raise mistake("takes `default` or `required`, not both: with a default something is always found")
        compiled = searcher(self.pattern)
        if isinstance(self.group, str) and self.group not in compiled.groupindex:
            near = get_close_matches(self.group, compiled.groupindex, n=1)
            raise mistake(f"the pattern has no group {self.group!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        if isinstance(self.group, int) and self.group > compiled.groups:
            raise mistake(f"the pattern has no group {self.group}, it has {compiled.groups}")
        return self

    def carries(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        return None if read_by(names, self.field) or looked_into(names, self.to or self.field) else names

    def compile(self, run: Run) -> Function:
        get, put, find = getter(self.field), setter(self.to or self.field), of_text(self.field, self._finder())

        def extract(record: Record) -> Record:
            value = get(record)
            nothing = value is None or value is MISSING
            if nothing and self.required:
                raise absent(self.field)
            found = None if nothing else find(value)
            if not nothing and found is None:
                found = self._instead(value)
            if found is not None:
                put(record, found)
            return record

        return extract

    def _instead(self, value: Any) -> Any:
        if self.required:
            raise unfit(self.field, value, f"has nothing that {self.pattern!r} finds")
        return deepcopy(self.default)

    def _finder(self) -> Callable[[str], Any]:
        matches, part = matcher(self.field, self.pattern), self._part()

        def find(text: str) -> Any:
            if self.all:
                return [found for match in matches(text) if (found := part(match)) is not None] or None
            match = next(matches(text), None)
            return match and part(match)

        return find

    def _part(self) -> Callable[[Any], Any]:
        compiled, group = searcher(self.pattern), self.group
        names = list(compiled.groupindex)
        if group is None and names:
            return lambda match: {name: match[name] for name in names}
        wanted = min(1, compiled.groups) if group is None else group
        return lambda match: match[wanted]
