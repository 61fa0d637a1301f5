"""The high-water mark of a field: how far a source was read by the data's own time or number (R5, R6).

The mark is the largest value that was seen, not the last one. With it are kept hashes of the records that a later read
from there brings once more, and whether the records came in its order: only then is everything below the mark known to
be read while a read is under way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from airflow_datahub.contract import Log
from airflow_datahub.errors import ConfigurationError
from airflow_datahub.paths import MISSING, FieldPath, getter, parse
from airflow_datahub.quantities import Duration

FIELDS = {"field", "value", "keys", "known", "ordered", "base"}
"""Of what a checkpoint keeps."""
KEYS = 1_000
"""Records near the mark that are remembered; where more share its value the others come again."""
_UNREADABLE = (ValueError, TypeError, AttributeError, RecursionError)
LONGEST = 200
"""Characters of a value: it goes into a query."""
_NUMBER = "0123456789.-"
_UNITS = ((10**11, 1), (10**14, 10**3), (10**17, 10**6))
"""Below these an epoch number counts seconds, milliseconds, microseconds; else nanoseconds."""


class Mark(BaseModel):
    """How to read only what is new by a field of the records."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    field: FieldPath
    """The field of a record: an ISO 8601 time, an epoch number, or another number or text that only grows."""

    param: str = Field(min_length=1)
    """The query parameter that asks for records from a value of the field on, that value included."""

    lag: Duration = timedelta(0)
    """Taken off the mark before it is asked from: how much later than its own time a record may turn up. What was read
    before is recognised and dropped."""


class Value(NamedTuple):
    """A value of the field: how it compares, and how it was written. Only values of one kind compare."""

    order: Any
    kind: str
    written: Any


class Tracker:
    """Follows the mark over the pages of a read."""

    def __init__(self, mark: Mark, stored: Any, log: Log):
        """`stored` is what `kept` gave. Raises ConfigurationError where it is not."""
        self._mark = mark
        self._log = log
        self._read = _reader(mark.field)
        self._window: dict[str, Any] = {}
        self._known: frozenset[str] = frozenset()
        self._below: Any = None
        self.ordered = True
        """No record came later than the lag allows for since all was read."""
        self.base: Any = None
        """From where all was read that is now below the mark, or is still to be read; None: the start."""
        self.highest: Value | None = None
        self._floor: Any = None
        if stored is not None:
            self._restore(stored)

    def _restore(self, stored: Any) -> None:
        if not (isinstance(stored, dict) and stored.keys() >= FIELDS):
            raise ConfigurationError(f"the stored mark {str(stored)[:80]!r} is not one of this source; run with --full")
        if stored["field"] != self._mark.field:
            self._log.warning("mark_of_another_field", stored=stored["field"], now=self._mark.field)
            return
        if (value := _value(stored["value"])) is None:
            raise ConfigurationError(f"the stored mark {str(stored)[:80]!r} has no value; run once with --full")
        order = value.order
        self.highest, self._floor = value, _earlier(value, self._mark.lag)
        self._window = dict.fromkeys(stored["keys"], order)
        self._known, self._below = frozenset(stored["known"]), order
        self.ordered, self.base = stored["ordered"], stored["base"]

    def begin(self, since: Any) -> None:
        """A pass from `since` begins: what is known now is dropped in it."""
        self._known = frozenset(self._window)
        self._below = self.highest.order if self.highest else None
        self.ordered, self.base = True, since

    def finish(self) -> None:
        """All is read that there is."""
        self.ordered, self.base = True, self.since()

    def safe(self) -> Any:
        """What to ask from so that nothing is missed, though the read has not come to its end."""
        return self.since() if self.ordered else self.base

    def since(self) -> Any:
        """What to ask from, for a pass from the mark less the lag; None where there is no mark."""
        return None if self.highest is None else _less(self.highest, self._mark.lag)

    def kept(self) -> dict[str, Any] | None:
        """What a checkpoint keeps; None while no record had a value."""
        if self.highest is None:
            return None
        return {
            "field": self._mark.field,
            "value": self.highest.written,
            "keys": list(self._window),
            "known": sorted(self._known),
            "ordered": self.ordered,
            "base": self.base,
        }

    def look(self, records: Sequence[Any]) -> list[int] | None:
        """Take a page's undecoded records in; gives the indices of those that are not known, None: none is."""
        values = list(map(self._read, records))
        new = self._unknown(records, values) if self._known else None
        self._move(records, values)
        return new

    def _unknown(self, records: Sequence[Any], values: Sequence[Value | None]) -> list[int] | None:
        old = {
            index
            for index, value in enumerate(values)
            if value and self._fits(value) and value.order <= self._below and _key(records[index]) in self._known
        }
        return [index for index in range(len(records)) if index not in old] if old else None

    def _fits(self, value: Value) -> bool:
        return self.highest is not None and value.kind == self.highest.kind

    def _move(self, records: Sequence[Any], values: Sequence[Value | None]) -> None:
        usable = [value for value in values if value and self._usable(value)]
        if not usable:
            return
        kind = self.highest.kind if self.highest else next((v.kind for v in usable if v.kind != "text"), "text")
        for value in usable:
            if value.kind == kind:
                self._climb(value)
        floor = self._floor
        near = [(v.order, i) for i, v in enumerate(values) if v and v.kind == kind and v.order >= floor]
        window = {key: order for key, order in self._window.items() if order >= floor}
        window |= {_key(records[index]): order for order, index in sorted(near)[-KEYS:]}
        self._window = dict(sorted(window.items(), key=lambda item: item[1])[-KEYS:])

    def _climb(self, value: Value) -> None:
        if self.highest is None or value.order > self.highest.order:
            self.highest, self._floor = value, _earlier(value, self._mark.lag)
        elif value.order < self._floor:
            self.ordered = False

    def _usable(self, value: Value) -> bool:
        """A text that is no time can be the mark only where nothing must be taken off it."""
        return value.kind != "text" or not self._mark.lag


def _key(record: Any) -> str:
    return hashlib.blake2b(record, digest_size=8).hexdigest()


def _reader(path: str) -> Callable[[Any], Value | None]:
    """Reads the field out of an undecoded record; None where there is no usable value."""
    decode = _decoder(path)

    def read(record: Any) -> Value | None:
        try:
            return _value(decode(record))
        except (
            ValueError,
            TypeError,
            AttributeError,
            RecursionError,
        ):  # not a record, or none that can be read: a reject later on
            return None

    return read


def _decoder(path: str) -> Callable[[Any], Any]:
    names = parse(path)
    kind: Any = Any
    try:
        for name in reversed(names):
            kind = msgspec.defstruct("Marked", [("value", kind, None)], rename={"value": name}) | None
        decode = msgspec.json.Decoder(kind).decode
    except ValueError:  # a name with a quote or a backslash, which msgspec does not take
        return _whole(path)
    if len(names) == 1:
        return lambda record: decode(record).value
    return _whole(path) if any(name.isdigit() for name in names) else _nested(decode, len(names))


def _whole(path: str) -> Callable[[Any], Any]:
    get, decode = getter(path), msgspec.json.Decoder(dict[str, Any]).decode
    return lambda record: None if (value := get(decode(record))) is MISSING else value


def _nested(decode: Callable[[Any], Any], depth: int) -> Callable[[Any], Any]:
    def value(record: Any) -> Any:
        found = decode(record)
        for _ in range(depth):
            found = getattr(found, "value", None)
        return found

    return value


def _value(given: Any) -> Value | None:
    kind = given.__class__
    if kind is int or kind is float:
        return Value(given, "number", given)
    return _text_value(given) if kind is str and 0 < len(given) <= LONGEST else None


def _text_value(given: str) -> Value | None:
    dated = given[4:5] == "-"
    if not dated and not given.strip(_NUMBER) and (number := _number(given)) is not None:
        return Value(number, "number", given)
    try:
        time = datetime.fromisoformat(given)
    except ValueError:
        return Value(given, "text", given) if given.isprintable() else None
    return Value(time if time.tzinfo else time.replace(tzinfo=UTC), "time", given)


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except ArithmeticError:
        return None


def _earlier(value: Value, lag: timedelta) -> Any:
    """The value's order less the lag."""
    if not lag or value.kind == "text":
        return value.order
    if value.kind == "time":
        try:
            return value.order - lag
        except OverflowError:
            return value.order
    unit = next((unit for below, unit in _UNITS if abs(value.order) < below), 10**9)
    return value.order - lag // timedelta(seconds=1) * unit


def _less(value: Value, lag: timedelta) -> Any:
    """The value less the lag, written as it was."""
    if not lag or value.kind == "text":
        return value.written
    order = _earlier(value, lag)
    if value.kind == "time":
        return _time_text(value.written, order)
    return str(order) if isinstance(value.written, str) else order


def _time_text(text: str, earlier: datetime) -> str:
    if len(text) <= 10:  # a date without a time
        return str(earlier.date().isoformat())
    given = datetime.fromisoformat(text)
    shown = earlier.isoformat(sep=text[10]) if given.tzinfo else earlier.replace(tzinfo=None).isoformat(sep=text[10])
    return shown.removesuffix("+00:00") + text[-1] if text[-1] in "Zz" else str(shown)
