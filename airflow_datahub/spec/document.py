"""YAML text to plain data that knows its lines. Nothing here knows what a pipeline is.

Scalars are read as YAML 1.2's core schema does, narrowed so that nothing turns into something else by surprise: `no`,
`on`, `12:30`, `2024-01-01` and `00123` stay text. Text is read event by event, never recursively, so that no nesting
and no alias can exhaust the process.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import yaml

from airflow_datahub.errors import Problem
from airflow_datahub.spec.substitution import substitute

LARGEST_FILE = 1024 * 1024
"""Bytes of a spec."""

DEEPEST = 64
"""Levels of nesting."""

MOST_ALIASES = 100
MOST_ALIASED_VALUES = 100_000
LONGEST_NUMBER = 1_000
"""Characters; Python itself refuses to print whole numbers above 4,300 digits."""

_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNREADABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_CONSTANTS: dict[str, Any] = {"": None, "~": None, "null": None, "true": True, "false": False}
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*)")
OTHER_BASE = re.compile(r"0x[0-9a-fA-F]+|0o[0-7]+")
FRACTION = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")

_NO_MEMBERS: Any = MappingProxyType({})
"""Of all scalars, which are most of a spec: two dicts for each would be a tenth of the time of reading it."""


@dataclass(slots=True)
class Node:
    """One value of the YAML and where it begins; lines and columns count from 1."""

    line: int
    column: int
    value: Any
    """Plain data: dict, list, str, int, float, bool or None."""

    raw: Any
    """The same as written: before `${NAME}` was replaced."""

    children: dict[str | int, Node] = field(default_factory=dict)
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Where each key of a mapping stands."""

    size: int = 1
    """Values in it, itself included and aliases written out."""

    height: int = 1
    start: int = 0
    """Of a list or mapping: where in the text it begins and ends, in characters."""

    end: int = 0

    def add(self, key: str | int, child: Node) -> None:
        """Put a value into this list or mapping."""
        self.children[key] = child
        if self.value.__class__ is dict:
            self.value[key], self.raw[key] = child.value, child.raw
        else:
            self.value.append(child.value)
            self.raw.append(child.raw)
        self.size += child.size
        if self.height <= child.height:
            self.height = child.height + 1


def read(text: str, file: str, environ: Mapping[str, str]) -> tuple[Node | None, list[Problem]]:
    """The text's one value, None when there is none to go on with, and all that is wrong with the text as YAML."""
    reader = _Reader(file, environ)
    unreadable = _UNREADABLE.search(text)
    if unreadable:
        line = text.count("\n", 0, unreadable.start()) + 1
        column = unreadable.start() - (text.rfind("\n", 0, unreadable.start()) + 1) + 1
        return None, [Problem(file, line, column, f"the character {unreadable.group()!a} is not allowed in YAML")]
    try:
        reader.take(yaml.parse(text, Loader=_PARSER))
    except _Stop:
        return None, reader.problems
    except yaml.MarkedYAMLError as error:
        reader.say(error.problem_mark or error.context_mark, f"this is not YAML: {_syntax(error, text)}")
        return None, reader.problems
    return reader.root, reader.problems


def _syntax(error: yaml.MarkedYAMLError, text: str) -> str:
    """What the parser says, and what most often causes it."""
    mark = error.problem_mark
    line = text.split("\n")[mark.line] if mark and mark.line <= text.count("\n") else ""
    if mark and "\t" in line[: mark.column + 1]:
        return "a tab stands in the indentation; use spaces"
    said = ", ".join(part for part in (error.context, error.problem) if part)
    if "alias" in said:
        return f"{said}; quote a text that begins with *"
    return said + ("; inside [ ] and { } a value with ${…} must be quoted" if "${" in line else "")


class _Stop(Exception):
    """What follows cannot be read; the problem is noted."""


@dataclass(slots=True)
class _Open:
    """A list or mapping that is not closed yet."""

    node: Node
    anchor: str | None
    key: str | None = None
    waiting: bool = False
    """A key was read and its value comes next."""


class _Reader:
    def __init__(self, file: str, environ: Mapping[str, str]):
        self.root: Node | None = None
        self.problems: list[Problem] = []
        self._file = file
        self._environ = environ
        self._open: list[_Open] = []
        self._anchors: dict[str, Node] = {}
        self._aliases = 0
        self._aliased_values = 0
        self._documents = 0

    def say(self, mark: Any, message: str) -> None:
        """Note a problem where the mark stands."""
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        self.problems.append(Problem(self._file, line, column, message))

    def take(self, events: Iterable[Any]) -> None:
        """Build `root` from the parser's events."""
        acts: dict[type[Any], Callable[[Any], None]] = {
            yaml.ScalarEvent: self._scalar,
            yaml.MappingStartEvent: self._begin,
            yaml.SequenceStartEvent: self._begin,
            yaml.MappingEndEvent: self._end,
            yaml.SequenceEndEvent: self._end,
            yaml.AliasEvent: self._alias,
            yaml.DocumentStartEvent: self._document,
        }
        for event in events:
            if act := acts.get(event.__class__):
                act(event)

    def _document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            self._stop(event, "a second document begins here; a file holds one pipeline")

    def _begin(self, event: Any) -> None:
        self._no_tag(event)
        if len(self._open) >= DEEPEST:
            self._stop(event, f"nested more than {DEEPEST} levels deep")
        mapping = isinstance(event, yaml.MappingStartEvent)
        mark = event.start_mark
        node = Node(mark.line + 1, mark.column + 1, {} if mapping else [], {} if mapping else [], start=mark.index)
        self._open.append(_Open(node, event.anchor))

    def _end(self, event: Any) -> None:
        closed = self._open.pop()
        closed.node.end = event.end_mark.index
        self._put(closed.node, closed.anchor, _Mark(closed.node))

    def _scalar(self, event: Any) -> None:
        if event.tag is not None:
            self._no_tag(event)
        mark = event.start_mark
        plain = event.implicit[0]
        at_key = self._at_key()
        value = raw = self._plain(event, at_key) if plain else event.value
        if not at_key and isinstance(value, str) and "${" in value:
            value = self._substituted(event, value)
        if (value is not raw or not plain) and isinstance(value, str) and _SURROGATE.search(value):
            self.say(mark, "half a surrogate pair is not a character")
            value = raw = ""
        if plain and value == "<<" and at_key:
            self.say(mark, "merge keys (<<) do not exist in YAML 1.2; write the fields out")
        self._put(Node(mark.line + 1, mark.column + 1, value, raw, _NO_MEMBERS, _NO_MEMBERS), event.anchor, mark)

    def _plain(self, event: Any, at_key: bool) -> Any:
        text: str = event.value
        if text in _CONSTANTS and not (at_key and text == "null"):  # `null` is the name of a column's field
            return _CONSTANTS[text]
        if text[0] not in "+-.0123456789" or not (FRACTION.fullmatch(text) or OTHER_BASE.fullmatch(text)):
            return text
        number = _number(text) if len(text) <= LONGEST_NUMBER else math.inf
        if not math.isinf(number):
            return number
        self.say(event.start_mark, f"the number {text[:20]}… is too large; quote it if it is text")
        return 0

    def _substituted(self, event: Any, text: str) -> str:
        value, mistakes = substitute(text, self._environ)
        for mistake in mistakes:
            self.say(event.start_mark, mistake)
        return value

    def _alias(self, event: Any) -> None:
        self._aliases += 1
        node = self._anchors.get(event.anchor)
        if node is None:
            self._stop(event, f"no value above is marked &{event.anchor}")
        assert node is not None
        self._aliased_values += node.size
        if self._aliases > MOST_ALIASES or self._aliased_values > MOST_ALIASED_VALUES:
            most = f"{MOST_ALIASES} aliases and {MOST_ALIASED_VALUES:,} values repeated by them"
            self._stop(event, f"more than {most} are not allowed; write the values out")
        if len(self._open) + node.height > DEEPEST:
            self._stop(event, f"nested more than {DEEPEST} levels deep")
        self._put(node, None, event.start_mark)

    def _put(self, node: Node, anchor: str | None, mark: Any) -> None:
        if anchor:
            self._anchors[anchor] = node
        if not self._open:
            self.root = node
        elif isinstance(self._open[-1].node.value, list):
            parent = self._open[-1].node
            parent.add(len(parent.children), node)
        elif self._open[-1].waiting:
            self._member(self._open[-1], node)
        else:
            self._key(self._open[-1], node, mark)

    def _member(self, parent: _Open, node: Node) -> None:
        if parent.key is not None:
            parent.node.add(parent.key, node)
        parent.key, parent.waiting = None, False

    def _key(self, parent: _Open, node: Node, mark: Any) -> None:
        parent.waiting = True
        if not isinstance(node.value, str):
            self.say(mark, "a key must be text; quote it")
        elif node.value in parent.node.keys:
            line = parent.node.keys[node.value][0]
            self.say(mark, f"{node.value[:80]!r} is given twice, first in line {line}")
        else:
            parent.key = node.value
            parent.node.keys[node.value] = (mark.line + 1, mark.column + 1)

    def _at_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].node.value, dict) and not self._open[-1].waiting

    def _no_tag(self, event: Any) -> None:
        if event.tag is not None:
            self.say(event.start_mark, f"tags such as {event.tag[:40]} are not allowed; write the plain value")

    def _stop(self, event: Any, message: str) -> None:
        self.say(event.start_mark, message)
        raise _Stop


class _Mark:
    """A parser's mark, which counts from 0, made from a node."""

    def __init__(self, node: Node):
        self.line, self.column = node.line - 1, node.column - 1


def _number(text: str) -> int | float:
    if _WHOLE.fullmatch(text):
        return int(text)
    return int(text, 0) if OTHER_BASE.fullmatch(text) else float(text)
