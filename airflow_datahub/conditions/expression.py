"""CEL, compiled once and run on records (https://cel.dev).

A text sees the record as `record`: `record.country in ['DE', 'FR']`; other names only where their place says so.
Functions: contains, dyn, double, duration, endsWith, int, matches, size, startsWith, string, timestamp, type, uint,
bytes, `has(record.a)`, getFullYear … getMilliseconds. Loops (all, exists, exists_one, filter, map) stand side by
side, at most four of them, never one inside another: the engine counts no steps, and three nested ones over 120
elements ran 26 s. For the same reason the fields that a text with a loop reads hold at most 500 values (a text counts
one more per 1,000 characters), 100 where a loop reads `record` itself: `map` copies its result at every step, so that
`record.l.map(x, record.l)` takes 55 s over 1,000 elements and 55 ms over 100.

The engine holds whole numbers from -2^63 to 2^64 - 1: a record with others in the fields that the text reads is
rejected. A Decimal is a double there. Objects have no order there: a loop over the names of one meets them in any.
"""

from __future__ import annotations

import difflib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from functools import cache
from importlib.machinery import PathFinder
from typing import Any

from airflow_datahub.conditions.syntax import Outline, outline
from airflow_datahub.conditions.values import shown
from airflow_datahub.contract import Record
from airflow_datahub.errors import RejectRecord

Evaluate = Callable[[Record, Mapping[str, Any]], Any]
"""A compiled text: gives its value for a record and for the other names that it sees. Raises RejectRecord."""

FUNCTIONS = frozenset(
    {
        "bytes",
        "contains",
        "double",
        "duration",
        "dyn",
        "endsWith",
        "int",
        "matches",
        "size",
        "startsWith",
        "string",
        "timestamp",
        "type",
        "uint",
        "getDate",
        "getDayOfMonth",
        "getDayOfWeek",
        "getDayOfYear",
        "getFullYear",
        "getHours",
        "getMilliseconds",
        "getMinutes",
        "getMonth",
        "getSeconds",
        "has",
    }
)
TYPES = frozenset({"int", "uint", "double", "bool", "string", "bytes", "list", "map", "null_type", "type"})

LONGEST_TEXT = 4096
MOST_LOOPS = 4
MOST_VALUES = 500
MOST_VALUES_SHARED = 100
DEEPEST = 64
"""The engine recurses on the stack: a record 10,000 deep ends the process."""


def compile_expression(text: str, names: frozenset[str] = frozenset(), *, of_record: bool = True) -> Evaluate:
    """Compile a CEL text that sees `names`, and where it is `of_record` that as `record`. Raises ValueError saying what
    is wrong with it."""
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"the CEL text has {len(text):,} characters; at most {LONGEST_TEXT:,} are read")
    program = _compiled(text)
    form = outline(text)
    _refuse_loops(form)
    _refuse_unknown(program, form, names | {"record"} if of_record else names)
    used = tuple(names.intersection(program.variables()))
    reads = "record" in program.variables()

    def evaluate(record: Record, others: Mapping[str, Any]) -> Any:
        seen = {name: others[name] for name in used}
        if reads:
            seen["record"] = _part(record, form)
        try:
            return program.execute(seen)
        except KeyError as error:
            raise RejectRecord(f"no field {error} (ask with has(…) first) in {_brief(text)}") from error
        except Exception as error:  # the engine's errors share no class
            raise RejectRecord(f"{_first_line(error)} in {_brief(text)}") from error

    return evaluate


@cache
def _engine() -> Any:
    """The engine without the package around it, which imports a command line on start (0.7 s)."""
    name = "cel.cel"
    if name not in sys.modules:
        package = importlib.util.find_spec("cel")
        found = PathFinder.find_spec(name, package.submodule_search_locations if package else None)
        if found is None or found.loader is None:
            raise ImportError("install common-expression-language to use CEL texts")
        module = importlib.util.module_from_spec(found)
        sys.modules[name] = module  # PyO3 starts a module once: a later `import cel` must find this one
        found.loader.exec_module(module)
    return sys.modules[name]


def _compiled(text: str) -> Any:
    try:
        return _engine().compile(text)
    except ValueError as error:
        detail = str(error).partition("ERROR: <input>:")[2].partition("\n")[0]
        raise ValueError(f"CEL cannot read {_brief(text)}: {_place(detail)}") from error


def _place(detail: str) -> str:
    line, _, rest = detail.partition(":")
    column, _, message = rest.partition(": ")
    where = f"at character {column}" if line == "1" else f"at line {line}, character {column}"
    return f"{where}: {message.partition(' expecting {')[0][:200]}"


def _refuse_loops(form: Outline) -> None:
    if form.nested:
        raise ValueError("a CEL loop (all, exists, exists_one, filter, map) cannot stand inside another")
    if form.loops > MOST_LOOPS:
        raise ValueError(f"{form.loops} CEL loops in one text; at most {MOST_LOOPS} are run")


def _refuse_unknown(program: Any, form: Outline, names: frozenset[str]) -> None:
    for name in sorted(set(program.variables()) - form.bound - names - TYPES):
        field = f"a field is record.{name}, " if "record" in names else ""
        raise ValueError(f"unknown name {name!r}; {field}known names are {', '.join(sorted(names))}")
    for name in program.functions():
        if name.isidentifier() and name not in FUNCTIONS:
            near = difflib.get_close_matches(name, FUNCTIONS, n=1)
            raise ValueError(f"no function {name!r} in CEL" + (f"; did you mean {near[0]!r}?" if near else ""))


def _part(record: Record, form: Outline) -> Record:
    """Only the fields that are read: copying a record into the engine costs 2 µs a value."""
    part = record if form.fields is None else {name: record[name] for name in form.fields if name in record}
    weight = _weigh(part, DEEPEST)
    most = MOST_VALUES_SHARED if form.shared else MOST_VALUES
    if form.loops and weight > most:
        raise RejectRecord(f"{weight:,} values are too many for a CEL text with a loop; at most {most:,} are read")
    return part


def _weigh(value: Any, depth: int) -> int:
    """How many values there are. Raises RejectRecord for what the engine cannot hold."""
    kind = value.__class__
    if kind is str:
        return 1 + len(value) // 1000
    if kind is int and not -(2**63) <= value < 2**64:
        raise RejectRecord(f"{shown(value)} is too large for CEL, which holds 64 bits")
    if kind is not dict and kind is not list:
        return 1
    if not depth:
        raise RejectRecord(f"nested more than {DEEPEST} deep, too deep for CEL")
    return 1 + sum([_weigh(each, depth - 1) for each in (value.values() if kind is dict else value)])


def _first_line(error: Exception) -> str:
    return (str(error).partition("\n")[0] or type(error).__name__)[:200]


def _brief(text: str) -> str:
    return shown(" ".join(text.split()))
