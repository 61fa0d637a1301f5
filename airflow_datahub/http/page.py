"""Find the list of records in a JSON answer, and the few values beside it that tell how to go on.

The fast way is one pass of msgspec that leaves each record as the bytes that came. A page which that refuses goes
through a scanner of brackets, so that one unreadable record does not cost its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, NoReturn

import msgspec

from airflow_datahub.contract import Unreadable
from airflow_datahub.errors import ConfigurationError
from airflow_datahub.http.client import Answer
from airflow_datahub.http.limits import Limits, sized
from airflow_datahub.http.retrying import TryAgain
from airflow_datahub.http.structure import Missing, Path, Span, Structure, listed, too_deep
from airflow_datahub.paths import parse

_PIECE = 1024

MARK = b"\xef\xbb\xbf"
"""Some servers begin UTF-8 with a byte order mark."""


@dataclass(slots=True)
class Page:
    """One page, its records still bytes."""

    origins: Sequence[msgspec.Raw | Unreadable]
    """Each one record, undecoded; they keep the page's body alive. Unreadable: one above a limit."""
    values: list[Any]
    """What stood at the paths asked for, in their order; None where nothing did."""
    body: bytearray = field(repr=False)
    shown: str
    """What was asked, for error texts."""

    def whereabouts(self, path: str) -> str:
        """What the answer has in place of the path, for an error text; empty where the path is there."""
        found = Structure(self.body).find(parse(path))
        return str(found) if isinstance(found, Missing) else ""


class PageReader:
    """Reads the pages of one API. `records` and `values` are dotted paths; of the limits, those on a record count."""

    def __init__(self, records: str, values: Sequence[str] = (), limits: Limits = Limits()):  # noqa: B008 - frozen
        self._records = records
        self._limits = limits
        self._paths = [parse(records), *map(parse, values)]
        self._decoder, self._attributes = _envelope(self._paths)

    def read(self, answer: Answer) -> Page:
        """Raises TryAgain for JSON that ends early or is broken beyond single records, ConfigurationError for what is
        not JSON or holds no list at the path."""
        if answer.status == HTTPStatus.NO_CONTENT:
            return self.nothing(answer)
        if answer.body.startswith(MARK):
            del answer.body[: len(MARK)]
        page = self._read_fast(answer)
        if page is None or not surely_within(answer.body, page.origins, self._limits):
            page = page or self._read_slowly(answer)
            page.origins = [_within(self._limits, record) for record in page.origins]
        return page

    def nothing(self, answer: Answer) -> Page:
        """A page without records, whatever the answer holds."""
        return Page([], [None] * (len(self._paths) - 1), bytearray(), answer.shown)

    def _read_fast(self, answer: Answer) -> Page | None:
        if self._decoder is None:
            return None
        try:
            envelope = self._decoder.decode(answer.body)
        except (ValueError, RecursionError):
            return None
        origins, *values = (_pick(envelope, names) for names in self._attributes)
        return Page(origins, values, answer.body, answer.shown) if isinstance(origins, list) else None

    def _read_slowly(self, answer: Answer) -> Page:
        if bytes(answer.body.lstrip()[:1]) not in (b"{", b"["):
            _refuse(answer)
        structure = Structure(answer.body)
        try:
            structure.prove_whole()
            origins = [msgspec.Raw(structure.text(span).strip()) for span in self._list(structure, answer)]
            values = [_value(structure, path, self._limits.depth) for path in self._paths[1:]]
        except (ValueError, RecursionError) as error:
            raise TryAgain(f"the JSON is broken: {error}") from error
        return Page(origins, values, answer.body, answer.shown)

    def _list(self, structure: Structure, answer: Answer) -> list[Span]:
        """Where the records are."""
        found = structure.find(self._paths[0])
        if isinstance(found, Missing):
            raise ConfigurationError(f"{answer.shown}: records: {self._records!r} is not in the answer; {found}")
        kind = structure.start(found)
        if kind == b"[":
            return list(structure.members(found[0]).values())
        if structure.text(found).strip() == b"null":
            return []
        what = "an object with " + listed(structure.members(found[0])) if kind == b"{" else "a single value"
        where = f"{self._records!r} in the answer" if self._records else "the answer"
        raise ConfigurationError(f"{answer.shown}: records: {where} is {what}, not a list")


def surely_within(body: bytearray, records: Sequence[Any], limits: Limits) -> bool:
    """Whether no record of a page can be above a limit: none has as many brackets as levels are allowed.

    Brackets are counted in pieces of the page that are at least as long as a record, which so lies in two of them."""
    longest = max(map(len, records), default=0)
    size, before = max(longest, _PIECE), 0
    for start in range(0, len(body), size):
        piece = body[start : start + size]
        # three times as fast as to count them
        opened = 2 * len(piece) - len(piece.replace(b"{", b"")) - len(piece.replace(b"[", b""))
        if before + opened > limits.depth:
            return False
        before = opened
    return longest <= limits.record


def _within(limits: Limits, record: Any) -> Any:
    """The record, or what becomes a reject in its place."""
    text = bytes(record)
    if len(text) > limits.record:
        reason = f"larger than {sized(limits.record)}"
    elif too_deep(text, limits.depth):
        reason = f"nested deeper than {limits.depth} levels"
    else:
        return record
    return Unreadable(reason, text.decode(errors="backslashreplace"))


def _value(structure: Structure, path: Path, depth: int) -> Any:
    found = structure.find(path)
    if isinstance(found, Missing):
        return None
    text = structure.text(found)
    if too_deep(text, depth):
        raise ValueError(f"{'.'.join(path)!r} is nested deeper than {depth} levels")
    return _decode(text)


_decode = msgspec.json.Decoder().decode


# --- the fast way


def _envelope(paths: list[Path]) -> tuple[msgspec.json.Decoder[Any] | None, list[list[str]]]:
    """A decoder of only what the paths name, and the attributes that lead to each in what it returns."""
    if not paths[0]:
        return (None if len(paths) > 1 else msgspec.json.Decoder(list[msgspec.Raw])), [[]]
    tree: dict[str, Any] = {}
    for index, path in enumerate(paths):
        if not _grow(tree, path, Any if index else list[msgspec.Raw] | None):
            return None, []
    try:
        return msgspec.json.Decoder(_struct(tree)), [list(map(_attribute, path)) for path in paths]
    except ValueError:  # a name with a quote or a backslash, which msgspec does not take
        return None, []


def _grow(tree: dict[str, Any], path: Path, leaf: Any) -> bool:
    """False where one path leads through the end of another."""
    *parents, last = path
    for name in parents:
        tree = tree.setdefault(name, {})
        if not isinstance(tree, dict):
            return False
    return tree.setdefault(last, leaf) is leaf


def _struct(tree: dict[str, Any]) -> type[msgspec.Struct]:
    fields = [
        (_attribute(name), _struct(kind) | None if isinstance(kind, dict) else kind, None)
        for name, kind in tree.items()
    ]
    return msgspec.defstruct("Envelope", fields, rename={_attribute(name): name for name in tree})


def _attribute(name: str) -> str:
    """A Python name for any key."""
    return "f" + name.encode().hex()


def _pick(value: Any, attributes: list[str]) -> Any:
    for name in attributes:
        value = getattr(value, name, None)
    return value


def _refuse(answer: Answer) -> NoReturn:
    """Say what an answer is that does not begin like JSON."""
    start = answer.start(80)
    claimed = f"status {answer.status}, content type {answer.content_type[:80] or 'not given'!r}"
    if not start:
        raise TryAgain(f"the answer is empty, not JSON ({claimed})")
    if start.startswith("<"):
        what = "HTML" if "html" in (start + answer.content_type).lower() else "XML"
        raise ConfigurationError(f"{answer.shown}: answered {what}, not JSON ({claimed}); is the path right?")
    raise ConfigurationError(f"{answer.shown}: answered neither a JSON object nor a list ({claimed}): {start!r}")
