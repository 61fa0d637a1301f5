"""The keys that the objects of a source have at one place, and a struct made for them, which msgspec decodes fast."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain
from typing import Any

import msgspec

from airflow_datahub.contract import Record

ABSENT = msgspec.Raw()
"""Stands in a struct where an object lacks an undecoded field."""

MOST_FIELDS = 200

_value = msgspec.json.Decoder().decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_KINDS = frozenset({dict, type(None)})

Names = tuple[str, ...]


class Form:
    """Of the objects at the path `names`; grows with what it is shown.

    A field that only some have is optional. A field in which something stays undecoded has a form of its own, as long
    as it holds nothing but objects of such forms and null; else `exactly` decodes it. `opaque` tells what stays
    undecoded; "" stands for any field that no step names.
    """

    def __init__(self, names: Names, opaque: Callable[[Names], bool]):
        self._names, self._opaque = names, opaque
        self._known: dict[str, bool] = {}
        """Of the fields seen so far: whether every object had them."""
        self._inner: dict[str, Form | None] = {}
        """None: the field holds other things, too."""
        self._nullable: set[str] = set()
        self.struct: type[msgspec.Struct] = msgspec.Struct
        self.objects: Callable[[Iterable[Any]], list[Record]] = _plain
        """Makes objects of what was decoded into structs."""

    def learn(self, objects: Sequence[Record]) -> bool:
        """Take these forms, too; False where there is nothing to be learnt, or no struct can take them."""
        objects = [each for each in objects if all(map(_usable, each))]
        if not objects:
            return False
        forms = set(map(frozenset, objects))
        names, everywhere = dict.fromkeys(chain(self._known, *objects)), frozenset.intersection(*forms)
        known = {name: self._known.get(name, not self._known) and name in everywhere for name in names}
        if len(known) > MOST_FIELDS:
            return False
        inside = [self._look_inside(name, objects) for name in known if self._has_form(name)]
        news, self._known = known != self._known or any(inside), known
        if news:
            self._make()
        return news

    def _has_form(self, name: str) -> bool:
        """Whether something in the field may stay undecoded, while the field itself may not."""
        path = (*self._names, name)
        return not self._names and not self._opaque(path) and self._opaque((*path, ""))

    def _look_inside(self, name: str, objects: Sequence[Record]) -> bool:
        values = [each[name] for each in objects if name in each]
        found = [value for value in values if value.__class__ is dict]
        inner = self._inner.setdefault(name, Form((name,), self._opaque))
        if inner is None:
            return False
        news = bool(found) and inner.learn(found)
        if not set(map(type, values)) <= _KINDS or not inner.takes(found):
            self._inner[name] = None
            return True
        nullable = None in values and name not in self._nullable
        if nullable:
            self._nullable.add(name)
        return news or nullable

    def takes(self, objects: Sequence[Record]) -> bool:
        """Whether the struct has every field of these objects."""
        return all(map(set(self._known).issuperset, objects))

    def _make(self) -> None:
        optional = [name for name, everywhere in self._known.items() if not everywhere]
        fields: list[Any] = [self._field(name, name in optional) for name in self._known]
        self.struct = msgspec.defstruct("Form", fields, forbid_unknown_fields=True, kw_only=True, gc=False)
        inner: list[Inner] = []
        for name, form in self._inner.items():
            if form is None:
                inner.append((name, msgspec.Raw, partial(_each_exactly, (name,), self._opaque)))
            elif form._known:
                inner.append((name, form.struct, form.objects))
        self.objects = _objects(optional, inner) if optional or inner else _plain

    def _field(self, name: str, optional: bool) -> tuple[Any, ...]:
        inner = self._inner.get(name)
        if self._opaque((*self._names, name)) or (name in self._inner and inner is None):
            return (name, msgspec.Raw, ABSENT) if optional else (name, msgspec.Raw)
        type: Any = Any
        if inner and inner._known:
            type = inner.struct | None if name in self._nullable else inner.struct
            type = type | msgspec.UnsetType if optional else type
        return (name, type, msgspec.UNSET) if optional else (name, type)


Inner = tuple[str, type, Callable[[Iterable[Any]], list[Any]]]
"""A field, what it is decoded into, and what makes values of that."""


def exactly(names: Names, opaque: Callable[[Names], bool], encoded: Any) -> Any:
    """What is at the path, decoded as far as anybody looks into it, whatever it is; a whole record is an object."""
    if names and (bytes(memoryview(encoded)[:1]) != b"{" or not opaque((*names, ""))):
        return _value(encoded)
    record: Record = _members(encoded)
    for name, value in record.items():
        path = (*names, name)
        if not opaque(path):
            record[name] = _value(value) if names else exactly(path, opaque, value)
    return record


def _each_exactly(names: Names, opaque: Callable[[Names], bool], encoded: Iterable[Any]) -> list[Any]:
    return [exactly(names, opaque, each) for each in encoded]


def _plain(structs: Iterable[Any]) -> list[Record]:
    return list(map(msgspec.structs.asdict, structs))


def _objects(optional: Sequence[str], inner: Sequence[Inner]) -> Callable[[Iterable[Any]], list[Record]]:
    """Field by field over all of them: most of the time goes into calls otherwise."""

    def objects(structs: Iterable[Any]) -> list[Record]:
        records = _plain(structs)
        for name, kind, opened in inner:
            values = [record[name] for record in records]
            if kind is not msgspec.Raw and set(map(type, values)) == {kind}:
                for record, value in zip(records, opened(values), strict=True):
                    record[name] = value
            else:
                for record, value in zip(records, values, strict=True):
                    if value.__class__ is kind and value is not ABSENT:
                        (record[name],) = opened([value])
        for name in optional:
            for record in records:
                if record[name] is msgspec.UNSET or record[name] is ABSENT:
                    del record[name]
        return records

    return objects


def _usable(name: str) -> bool:
    """Whether a struct can have a field of that name."""
    return name.isidentifier() and not name.startswith("_") and not keyword.iskeyword(name)
