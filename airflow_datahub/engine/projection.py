"""Decodes records only as far as anybody looks into them.

A field that no step looks into and that the sink takes as JSON stays the bytes that came: it costs nothing to decode,
to keep and to encode again. The same holds for the fields of a field that steps look into. Such a record is first read
into a struct made for the keys that its source uses; a record of another form, or one that is broken, goes by itself
through the exact way and costs only itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from airflow_datahub.contract import Opaque, Record, Unreadable, nothing_opaque
from airflow_datahub.engine.form import Form, Names, exactly

MOST_NAMES = 10_000
"""Remembered; a source may make names up."""
MOST_LEVELS = 64
"""Levels of a record in which something undecoded may lie."""
MOST_FORMS = 20
"""Sources whose records never look alike stay with the exact way."""

_BROKEN = (ValueError, RecursionError, TypeError)
"""TypeError: what is no JSON at all, such as a record that the source has refused."""

_value = msgspec.json.Decoder().decode

Carries = Callable[[Names], Names | None]
"""Tells the path behind all steps of what is at a path; None where one of them looks into it."""


class Projection:
    """Decodes the records of one source. `ask` asks the sink which fields it takes undecoded."""

    def __init__(self, ask: Callable[[], Opaque] = lambda: nothing_opaque, carries: Carries = lambda names: names):
        self._ask, self._carries = ask, carries
        self._takes: Opaque = nothing_opaque
        self._begin(nothing_opaque)

    def _begin(self, takes: Opaque) -> None:
        def opaque(names: Names) -> bool:
            behind = self._carries(names)
            return behind is not None and takes(behind[0])

        self._takes, self._opaque = takes, lru_cache(MOST_NAMES)(opaque)
        self._form = Form((), self._opaque)
        self._forms = 0
        self._fast: Callable[[Sequence[Any]], list[Record]] | None = None

    def anew(self) -> Projection:
        """One for another thread, which leaves undecoded what this one leaves undecoded now, whatever the sink tells
        later: what is not decoded is not refused for what it holds."""
        takes = self._takes
        return Projection(lambda: takes, self._carries)

    def records(self, encoded: Sequence[Any]) -> list[Any]:
        """The records, in order; what cannot be read is Unreadable, what is JSON but no object stays as it is."""
        if (takes := self._ask()) != self._takes:
            self._begin(takes)
        if self._fast is not None:
            try:
                return self._fast(encoded)
            except _BROKEN:
                pass
        return self._one_by_one(encoded)

    def record(self, encoded: Any) -> Any:
        """One record, decoded anew."""
        try:
            return self._exactly(encoded)
        except _BROKEN:
            return _otherwise(encoded)

    def _one_by_one(self, encoded: Sequence[Any]) -> list[Any]:
        records, odd = [], []
        for each in encoded:
            try:
                records += self._fast([each]) if self._fast else [self._exactly(each)]
            except _BROKEN:
                records.append(self.record(each))
                odd.append(records[-1])
        self._learn(odd if self._fast else records)
        return records

    def _exactly(self, encoded: Any) -> Record:
        record: Record = exactly((), self._opaque, encoded)
        return record

    def _learn(self, records: Iterable[Any]) -> None:
        """Take these forms, too."""
        found = [record for record in records if record.__class__ is dict]
        if found and self._forms <= MOST_FORMS and self._form.learn(found):
            self._forms += 1
            decode, objects = msgspec.json.Decoder(self._form.struct).decode, self._form.objects
            self._fast = lambda encoded: objects(map(decode, encoded))


def decoded(value: Any, levels: int = MOST_LEVELS) -> Any:
    """A record with nothing undecoded left in it, for a person or for the store."""
    kind = value.__class__
    if kind is msgspec.Raw:
        return _readable(value)
    if levels and kind is dict:
        return {name: decoded(each, levels - 1) for name, each in value.items()}
    return [decoded(each, levels - 1) for each in value] if levels and kind is list else value


def _readable(encoded: msgspec.Raw) -> Any:
    try:
        return _value(encoded)
    except _BROKEN:
        return bytes(encoded).decode(errors="backslashreplace")


def _otherwise(encoded: Any) -> Any:
    """What is not an object: another JSON value, or nothing that can be read."""
    if encoded.__class__ is not msgspec.Raw:  # decoded already, or Unreadable
        return encoded
    try:
        value = _value(encoded)
    except _BROKEN as error:
        text = bytes(encoded)
        return Unreadable(_reason(text, error), text.decode(errors="backslashreplace").strip())
    # an object that decodes as a whole and not by its fields cannot be; what is left is of another type
    return value


def _reason(encoded: bytes, error: Exception) -> str:
    """msgspec does not name half a surrogate pair, Python's own decoder lets it through."""
    try:
        json.dumps(json.loads(encoded), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return "half of a surrogate pair is not a character (\\ud800 to \\udfff)"
    except (ValueError, RecursionError):
        pass
    return f"not readable as JSON: {error}"
