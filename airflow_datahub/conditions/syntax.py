"""What a CEL text says about itself, read from its tokens: the engine shows neither its tree nor its loops.

The text must have compiled; then these tokens are CEL's own (its grammar: github.com/google/cel-spec, langdef).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

LOOPS = frozenset({"all", "exists", "exists_one", "existsOne", "map", "filter"})
"""The macros of this engine that run over a list."""

_PLAIN = r"""\"\"\"(?:\\[\s\S]|[^\\])*?\"\"\"|'''(?:\\[\s\S]|[^\\])*?'''|"(?:\\.|[^\\"\n\r])*"|'(?:\\.|[^\\'\n\r])*'"""
_RAW = r"""[rR](?:\"\"\"[\s\S]*?\"\"\"|'''[\s\S]*?'''|"[^"\n\r]*"|'[^'\n\r]*')"""
_TOKEN = re.compile(
    rf"(?P<space>\s+|//[^\n]*)|(?P<text>[bB]?(?:{_RAW}|{_PLAIN}))|(?P<name>[A-Za-z_]\w*)|(?P<sign>.)", re.S
)


@dataclass(frozen=True)
class Outline:
    """What a text uses."""

    loops: int
    """How many macros run over a list."""
    nested: bool
    """True where one of them stands in the arguments of another."""
    shared: bool
    """True where one of them reads `record` in its arguments."""
    bound: frozenset[str]
    """The names that the macros bind."""
    fields: frozenset[str] | None
    """The top-level fields of `record` that are read; None where it is read as a whole."""


def outline(text: str) -> Outline:
    """Read a CEL text that has compiled."""
    tokens = [token for kind, token in tokenise(text) if kind != "space"]
    opened: list[bool] = []
    loops, nested, shared = 0, False, False
    bound: set[str] = set()
    for at, token in enumerate(tokens):
        if token == "(":  # noqa: S105
            loop = at > 1 and tokens[at - 1] in LOOPS and tokens[at - 2] == "."
            if loop:
                loops, nested, bound = loops + 1, nested or any(opened), bound | {tokens[at + 1]}
            opened.append(loop)
        elif token == ")":  # noqa: S105
            opened.pop()
        elif token == "record":  # noqa: S105
            shared = shared or any(opened)
    return Outline(loops, nested, shared, frozenset(bound), _fields(tokens))


def tokenise(text: str) -> Iterator[tuple[str, str]]:
    """The tokens of a text with their kinds: space (and comments), text, name, sign."""
    for match in _TOKEN.finditer(text):
        yield match.lastgroup or "", match[0]


def _fields(tokens: list[str]) -> frozenset[str] | None:
    found = set()
    for before, token, dot, name, after in zip(
        ["", *tokens], tokens, *(tokens[n:] + [""] * n for n in (1, 2, 3)), strict=False
    ):
        if token != "record" or before == ".":  # noqa: S105
            continue
        if dot != "." or not name.isidentifier() or after == "(":
            return None
        found.add(name)
    return frozenset(found)
