"""Decodes records only as far as anybody looks into them.

A field that no step looks into and that the sink takes as JSON stays the bytes that came: it costs nothing to decode,
to keep and to encode again. Such a record is first read into a struct made for the keys that its source uses;
a record of another form, or one that is broken, goes by itself through the exact way and costs only itself.
"""

from __future__ import annotations

import json
import keyword
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import msgspec

from airflow_datahub.contract import Opaque, Record, Unreadable, nothing_opaque

ABSENT = msgspec.Raw()
"""Stands in a struct where a record lacks an undecoded field."""

MOST_FIELDS = 200
MOST_FORMS = 20
"""Sources whose records never look alike stay with the exact way."""

_BROKEN = (ValueError, RecursionError, TypeError)
"""TypeError: what is no JSON at all, such as a record that the source has refused."""

_value = msgspec.json.Decoder().decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


Carries = Callable[[str], str | None]
"""Tells the name that a field has behind all steps; None where one of them looks into it."""


class Projection:
    """Decodes the records of one source. `ask` asks the sink which fields it takes undecoded."""

    def __init__(self, ask: Callable[[], Opaque] = lambda: nothing_opaque, carries: Carries = lambda name: name):
        self._ask, self._carries = ask, carries
        self._takes: Opaque = nothing_opaque
        self._begin(nothing_opaque)

    def _begin(self, takes: Opaque) -> None:
        def unread(name: str) -> bool:
            behind = self._carries(name)
            return behind is not None and takes(behind)

        self._takes, self._opaque = takes, cache(unread)
        self._known: dict[str, bool] = {}
        """Of the fields seen so far: whether every record had them."""
        self._forms = 0
        self._fast: Callable[[Any], Record] | None = None
        self._all: Callable[[Sequence[Any]], list[Record]] = list

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
                return self._all(encoded)
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
                records.append((self._fast or self._exactly)(each))
            except _BROKEN:
                records.append(self.record(each))
                odd.append(records[-1])
        self._learn(odd if self._fast else records)
        return records

    def _exactly(self, encoded: Any) -> Record:
        record: Record = _members(encoded)
        opaque = self._opaque
        for name, value in record.items():
            if not opaque(name):
                record[name] = _value(value)
        return record

    def _learn(self, records: Iterable[Any]) -> None:
        """Make a struct that takes these forms too; a field that only some records have is optional."""
        forms = {frozenset(record) for record in records if record.__class__ is dict}
        if not forms or self._forms > MOST_FORMS:
            return
        names = set(self._known).union(*forms)
        everywhere = frozenset.intersection(*forms)
        known = {name: self._known.get(name, not self._known) and name in everywhere for name in sorted(names)}
        if known != self._known and len(known) <= MOST_FIELDS and all(map(_usable, known)):
            self._known, self._forms = known, self._forms + 1
            self._compile()

    def _compile(self) -> None:
        optional = [name for name, everywhere in self._known.items() if not everywhere]
        fields: list[Any] = [self._field(name, name in optional) for name in self._known]
        struct = msgspec.defstruct("Form", fields, forbid_unknown_fields=True, kw_only=True, gc=False)
        decode, as_record = msgspec.json.Decoder(struct).decode, msgspec.structs.asdict
        if not optional:
            self._fast = lambda encoded: as_record(decode(encoded))
            self._all = lambda encoded: list(map(as_record, map(decode, encoded)))
            return

        def sparse(encoded: Any) -> Record:
            record = as_record(decode(encoded))
            for name in optional:
                if record[name] is msgspec.UNSET or record[name] is ABSENT:
                    del record[name]
            return record

        self._fast, self._all = sparse, lambda encoded: list(map(sparse, encoded))

    def _field(self, name: str, optional: bool) -> tuple[Any, ...]:
        if self._opaque(name):
            return (name, msgspec.Raw, ABSENT) if optional else (name, msgspec.Raw)
        return (name, Any, msgspec.UNSET) if optional else (name, Any)


def decoded(record: Any) -> Any:
    """A record with nothing undecoded left in it, for a person or for the store."""
    if record.__class__ is msgspec.Raw:
        return _readable(record)
    if record.__class__ is not dict or not any(value.__class__ is msgspec.Raw for value in record.values()):
        return record
    return {name: _readable(v) if v.__class__ is msgspec.Raw else v for name, v in record.items()}


def _readable(encoded: msgspec.Raw) -> Any:
    try:
        return _value(encoded)
    except _BROKEN:
        return bytes(encoded).decode(errors="backslashreplace")


def _usable(name: str) -> bool:
    """Whether a struct can have a field of that name."""
    return name.isidentifier() and not name.startswith("_") and not keyword.iskeyword(name)


def _otherwise(encoded: Any) -> Any:
    """What is not an object: another JSON value, or nothing that can be read."""
    if encoded.__class__ is Unreadable:
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
