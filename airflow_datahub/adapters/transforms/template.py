"""Write a text with values of the record in it: `${user.name}`.

Values other than text are written as JSON writes them, what is missing or null as nothing. In a spec it is written
`$${user.name}`: a single `$` there means the environment.

Example:
    template: {to: label, template: "$${name} ($${size})"}

Given:
    - {name: T-Shirt, size: M}

Gives:
    - {name: T-Shirt, size: M, label: T-Shirt (M)}
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator

from airflow_datahub.contract import Function, Record, Run, Transform
from airflow_datahub.conversion import mistake
from airflow_datahub.paths import MISSING, FieldPath, absent, getter, looked_into, parse, read_by, setter
from airflow_datahub.texts import as_text

_PART = re.compile(r"\$\{([^{}]*)\}")


def _readable(template: str) -> str:
    for found in _PART.finditer(template):
        try:
            if not parse(found[1]):
                raise mistake("`${}` names no field")
        except ValueError as error:
            raise mistake(str(error)) from error
    if "${" in _PART.sub("", template):
        raise mistake("a `${` without its `}`")
    return template


class Template(Transform):
    to: FieldPath
    """The field that gets the text."""

    template: Annotated[str, AfterValidator(_readable)]
    """The text, with the paths of fields as `${path}`."""

    required: bool = False
    """Reject a record in which one of the fields is missing or null."""

    def carries(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        paths = _PART.findall(self.template)
        return None if read_by(names, *paths) or looked_into(names, self.to) else names

    def compile(self, run: Run) -> Function:
        parts, put = self._parts(), setter(self.to)

        def written(record: Record, field: str, value: Any) -> str:
            if value is not None and value is not MISSING:
                return as_text(field, value)
            if self.required:
                raise absent(field)
            return ""

        def write(record: Record) -> Record:
            put(record, "".join([p if isinstance(p, str) else written(record, p[0], p[1](record)) for p in parts]))
            return record

        return write

    def _parts(self) -> list[Any]:
        """Texts, and of each field its path and the function that reads it."""
        parts: list[Any] = []
        end = 0
        for found in _PART.finditer(self.template):
            parts.append(self.template[end : found.start()])
            parts.append((found[1], getter(found[1])))
            end = found.end()
        return [part for part in (*parts, self.template[end:]) if part]
