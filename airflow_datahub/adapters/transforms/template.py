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

from airflow_datahub.contract import Function, Record, Run, Transform
from airflow_datahub.paths import FieldPath, absent, looked_into, read_by, setter
from airflow_datahub.placeholders import Filled, filler, paths_in


class Template(Transform):
    to: FieldPath
    """The field that gets the text."""

    template: Filled
    """The text, with the paths of fields as `${path}`."""

    required: bool = False
    """Reject a record in which one of the fields is missing or null."""

    def carries(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        return None if read_by(names, *paths_in(self.template)) or looked_into(names, self.to) else names

    def compile(self, run: Run) -> Function:
        fill = filler(self.template, absent=_refused) if self.required else filler(self.template)
        put = setter(self.to)

        def write(record: Record) -> Record:
            put(record, fill(record))
            return record

        return write


def _refused(path: str) -> str:
    raise absent(path)
