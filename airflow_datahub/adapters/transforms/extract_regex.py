"""Take a part of a text out by a regex.

The result is what the pattern's first group holds, or all that it matches where it has none; with named groups, an
object of all of them. Where nothing is found, nothing is written, unless there is a `default`. The regex is RE2's: it
takes a bounded time and has no look-around.

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
from typing import Any

from pydantic import model_validator

from airflow_datahub.conditions.patterns import Search, searcher
from airflow_datahub.conditions.values import Constant
from airflow_datahub.contract import Function, Record, Run, Transform
from airflow_datahub.conversion import mistake, of_text, unfit
from airflow_datahub.paths import MISSING, FieldPath, absent, getter, looked_into, read_by, setter


class ExtractRegex(Transform):
    field: FieldPath
    """The text that is searched."""

    pattern: Search
    """The regex."""

    to: FieldPath | None = None
    """The field that gets the result; left out, it is the same one."""

    all: bool = False
    """Give a list of all that is found, instead of the first."""

    ignore_case: bool = False
    """Find capital and small letters alike."""

    default: Constant = None
    """What is written where nothing is found; null: nothing is."""

    required: bool = False
    """Reject a record in which nothing is found, or the field is missing or null."""

    @model_validator(mode="after")
    def _one_way_out(self) -> ExtractRegex:
        if self.required and self.default is not None:
            raise mistake("takes `default` or `required`, not both: with a default something is always found")
        return self

    def carries(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        return None if read_by(names, self.field) or looked_into(names, self.to or self.field) else names

    def compile(self, run: Run) -> Function:
        get, put, find = getter(self.field), setter(self.to or self.field), of_text(self.field, self._finder())

        def extract(record: Record) -> Record:
            value = get(record)
            if value is None or value is MISSING:
                if self.required:
                    raise absent(self.field)
                return record
            found = find(value)
            if found is None and self.required:
                raise unfit(self.field, value, f"has nothing that {self.pattern!r} finds")
            if found is None:
                found = self.default
            if found is not None:
                put(record, found)
            return record

        return extract

    def _finder(self) -> Callable[[str], Any]:
        pattern = searcher(self.pattern, ignore_case=self.ignore_case)
        names = dict(pattern.groupindex)

        def part(match: Any) -> Any:
            return {name: match[name] for name in names} if names else match[1 if pattern.groups else 0]

        def find(text: str) -> Any:
            try:
                if self.all:
                    return [part(match) for match in pattern.finditer(text)] or None
                match = pattern.search(text)
            except UnicodeEncodeError as error:
                raise unfit(self.field, text, "holds half a surrogate pair") from error
            return part(match) if match else None

        return find
