"""Find one's way in JSON by its brackets and quotes alone, so that nothing inside a value can stop it."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from airflow_datahub.http.retrying import TryAgain

Path = tuple[str, ...]
Span = tuple[int, int]

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_TOKEN = re.compile(rb'[^"\[\]{},:]*+(' + _STRING + rb"|[\[\]{},:])", re.DOTALL)
_BRACKET = re.compile(rb'(?:[^"\[\]{}]++|' + _STRING + rb")*+([\[\]{}])", re.DOTALL)
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_ALL_ELSE = bytes(set(range(256)) - set(b'"[]{}'))


def too_deep(body: bytes | bytearray, deepest: int) -> bool:
    """Whether containers are nested more than `deepest` levels, or do not add up, so that nobody can tell.

    It needs no stack and linear time, so it comes before any decoder. What is left of the body are its quotes and
    brackets; strings go first, then the innermost containers, level by level."""
    if b'\\"' in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    left = body.translate(_ONE_KIND, _ALL_ELSE).replace(b'""', b"")
    if b'"' in left:
        left = b"".join(left.split(b'"')[::2])
    for _ in range(deepest):
        before = len(left)
        left = left.replace(b"[]", b"")
        if len(left) == before:
            break
    return bool(left)


class Missing(str):
    """Says what is there in place of what was looked for."""


class Structure:
    """The structure of one body; each container is walked once."""

    def __init__(self, body: bytearray):
        self._body = body
        self._walked: dict[int, tuple[dict[str, Span], int]] = {}

    def prove_whole(self) -> None:
        """Raise TryAgain unless the body is one object or list and nothing more."""
        self.members(0)
        if self._body[self._walked[0][1] :].strip():
            raise TryAgain("there is more behind the end of the JSON")

    def text(self, span: Span) -> bytes:
        """The bytes of a value, with the space around it."""
        return bytes(self._body[slice(*span)])

    def start(self, span: Span) -> bytes:
        """The first byte of a value: `{` and `[` are containers."""
        begin = span[0]
        while self._body[begin : begin + 1].isspace() and begin < span[1]:
            begin += 1
        return bytes(self._body[begin : begin + 1])

    def members(self, start: int) -> dict[str, Span]:
        """Where the members of the object or list that begins at `start` are, by key or index.

        Raises TryAgain where the body ends before the container does."""
        if start not in self._walked:
            self._walked[start] = _walk(self._body, start)
        return self._walked[start][0]

    def find(self, path: Path) -> Span | Missing:
        """Where the value at the path is."""
        span = (0, len(self._body))
        for depth, name in enumerate(path):
            where = repr(".".join(path[:depth])) if depth else "the top"
            if self.start(span) not in (b"{", b"["):
                return Missing(f"{where} holds a single value")
            members = self.members(span[0])
            if name not in members:
                return Missing(f"{where} has {listed(members)}")
            span = members[name]
        return span


def _key(text: bytearray) -> str:
    if not text.lstrip().startswith(b'"'):
        raise TryAgain("the JSON has a key that is no text")
    return str(msgspec.json.decode(text))


def listed(names: Iterable[str]) -> str:
    """The first keys of an object, for an error text."""
    keys = list(names)
    if not keys:
        return "no keys"
    return "the keys " + ", ".join(repr(key[:40]) for key in keys[:12]) + (" …" if len(keys) > 12 else "")


def _walk(body: bytearray, start: int) -> tuple[dict[str, Span], int]:
    """The members of a container and where it ends."""
    found: dict[str, Span] = {}
    depth, begin, key, position = 0, start, None, start
    while match := (_TOKEN if depth < 2 else _BRACKET).match(body, position):
        token, at, position = bytes(match[1]), match.start(1), match.end(1)
        if token in (b"[", b"{"):
            depth += 1
            begin = position if depth == 1 else begin
            continue
        if depth == 1 and token == b":":
            key, begin = _key(body[begin:at]), position
        elif depth == 1 and len(token) == 1:
            if token == b"," or body[begin:at].strip():
                found[str(len(found)) if key is None else key] = (begin, at)
            begin, key = position, None
        depth -= token in (b"]", b"}")
        if not depth:
            return found, position
    raise TryAgain("the JSON ends in the middle")
