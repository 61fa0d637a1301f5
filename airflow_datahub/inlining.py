"""Operators as Python statements, so that all of a step become one function: a call costs as much as most of them do.

The statements serve the usual record. One that they do not serve they hand over: it goes by itself through the compiled
functions, which alone decide what an operator means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from airflow_datahub.errors import RunError

HANDED_OVER = ()
"""Stands among the results for a record that the statements did not serve."""

Loop = Callable[[Sequence[dict[str, Any]]], list[Any]]
"""Gives one result a record: what an operator may give, or HANDED_OVER. It may change the records."""

_HEAD = """
def loop(records):
    results = []
    append = results.append
    rest = iter(records)
    while True:
        try:
            for record in rest:
"""
_FOOT = """
                append(record)
            return results
        except RunError:
            raise
        except Exception:
            append(HANDED_OVER)  # and on with the next one: `rest` stands behind it
"""
_INDENT = 4
_DEEPEST = 2
"""Names of a path; a longer one is left to the compiled function."""


class HandOver(Exception):
    """The statements do not serve this record."""


class Code:
    """The statements of a step in their order; `record` is the one at hand, whose top level may be changed.

    A path is given by its names, one or two of them (`reaches`).
    """

    def __init__(self, *, fresh: bool):
        """`fresh`: what is nested in a record is part of no other and of nothing else, so it is changed in place."""
        self._fresh = fresh
        self._lines: list[str] = []
        self._depth = _INDENT
        self._known: dict[str, Any] = {"RunError": RunError, "HandOver": HandOver, "HANDED_OVER": HANDED_OVER}

    def reaches(self, *paths: Sequence[str]) -> bool:
        """Whether statements can be written for these paths."""
        return all(0 < len(names) <= _DEEPEST for names in paths)

    def constant(self, value: Any) -> str:
        """A name by which the statements know a value."""
        name = f"c{len(self._known)}"
        self._known[name] = value
        return name

    def write(self, statement: str) -> None:
        """A statement that changes nothing nested."""
        self._lines.append("    " * self._depth + statement)

    @contextmanager
    def under(self, head: str) -> Iterator[None]:
        """What is written within stands under `head`, an `if` or an `else`."""
        self.write(f"{head}:")
        self._depth += 1
        yield
        self._depth -= 1

    def call(self, function: Callable[[dict[str, Any]], Any]) -> None:
        """Give the record to a function, which may put one object into two places."""
        self.write(f"record = {self.constant(function)}(record)")
        with self.under("if record.__class__ is not dict"):
            self.leave("record")
        self._fresh = False

    def leave(self, result: str = "None") -> None:
        """The record ends here, filtered out unless there is another result."""
        self.write(f"append({result})")
        self.write("continue")

    def hand_over(self) -> None:
        """Leave the record to the compiled functions."""
        self.write("raise HandOver")

    def value_at(self, names: Sequence[str]) -> str:
        """A name for what is at the path, None where nothing is."""
        *parents, name = names
        with self._within(*parents, otherwise="value = None") as holder:
            self.write(f"value = {holder}.get({name!r})")
        return "value"

    def put(self, names: Sequence[str], value: str) -> None:
        """Write a value, an expression, to the path; an object on the way is made where nothing is."""
        *parents, name = names
        with self._within(*parents, otherwise=f"record[{names[0]!r}] = {{{name!r}: {value}}}") as holder:
            self._own(*parents)
            self.write(f"{holder}[{name!r}] = {value}")

    def remove(self, names: Sequence[str]) -> None:
        """Take out what is at the path, if anything is."""
        *parents, name = names
        with self._within(*parents) as holder, self.under(f"if {name!r} in {holder}"):
            self._own(*parents)
            self.write(f"del {holder}[{name!r}]")

    def move(self, old: Sequence[str], new: Sequence[str], *, required: bool = False) -> None:
        """Give what is at `old` another name in the same object; handed over where nothing is that is `required`."""
        *parents, name = old
        with self._within(*parents, otherwise="raise HandOver" if required else "pass") as holder:
            with self.under(f"if {name!r} in {holder}"):
                self._own(*parents)
                self.write(f"{holder}[{new[-1]!r}] = {holder}.pop({name!r})")
            if required:
                with self.under("else"):
                    self.hand_over()

    @contextmanager
    def _within(self, *field: str, otherwise: str = "pass") -> Iterator[str]:
        """What is written within acts on the object in the field, or on the record itself where there is no field.
        Gives the object's name; `otherwise` is done where the field is missing or null."""
        if not field:
            yield "record"
            return
        self.write(f"holder = record.get({field[0]!r})")
        with self.under("if holder.__class__ is dict"):
            yield "holder"
        with self.under("elif holder is None"):
            self.write(otherwise)
        with self.under("else"):
            self.hand_over()

    def _own(self, *field: str) -> None:
        """Make sure that the object in the field may be changed."""
        if field and not self._fresh:
            self.write(f"holder = record[{field[0]!r}] = holder.copy()")

    def loop(self) -> Loop:
        """The function of all that was written."""
        source = _HEAD + "\n".join(self._lines) + _FOOT
        exec(compile(source, "<operators>", "exec"), self._known)  # noqa: S102 - values come in as constants, names quoted
        made: Loop = self._known["loop"]
        return made
