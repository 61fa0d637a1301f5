"""The comparators, each a maker of a test of one value, and what they do with values of other types.

* eq, ne, in, not_in: values of different types are different. A bool is never a number; 1 and 1.0 are the same number.
* gt, gte, lt, lte, between: numbers with numbers, text with text (by code point); anything else rejects the record.
* contains: a part of a text, or an element of a list. starts_with, ends_with, matches, glob: text. Others reject.
* A field that is missing or null satisfies none of these, and satisfies every `not_`, and `ne`; only `eq: null` and
  `in: [null]` find a null.
* exists: the field is there, be it null. is_null: it is there and null. is_empty: missing, null, "", [] or {}.
  not_exists and not_empty say the contrary, and so does `false` after any of them.
* type_is: JSON Schema's types; an integer is a number too.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

from airflow_datahub.conditions.numbers import decimal_of, number_of
from airflow_datahub.conditions.patterns import finder, glob_pattern
from airflow_datahub.conditions.values import is_number, kind_of, shown
from airflow_datahub.errors import RejectRecord
from airflow_datahub.paths import MISSING

Test = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a comparator stands: its name, its field, and whether numbers may arrive as text."""

    name: str
    field: str
    coerce: bool = False

    def reject(self, value: Any, expected: str) -> RejectRecord:
        """The rejection of a value whose type the comparator cannot serve."""
        found = f"the value is of type {kind_of(value)}: {shown(value)}"
        return RejectRecord(f"{self.field}: {self.name} compares with {expected}, {found}", self.field)


Maker = Callable[[Any, Place], Test]


def same(left: Any, right: Any) -> bool:
    """Whether two JSON values are equal, deep down; True is not 1."""
    if is_number(left) and is_number(right):
        return bool(operator.eq(*aligned(left, right)))
    if left.__class__ is not right.__class__:
        return False
    if left.__class__ is dict:
        return left.keys() == right.keys() and all(same(each, right[name]) for name, each in left.items())
    if left.__class__ is list:
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def aligned(left: Any, right: Any) -> tuple[Any, Any]:
    """A float beside a Decimal is taken for the decimal that its text says."""
    if (left.__class__ is Decimal) is (right.__class__ is Decimal):
        return left, right
    return decimal_of(left), decimal_of(right)


def _coerced(value: Any) -> Any:
    number = number_of(value) if value.__class__ is str else None
    return value if number is None else number


def _equal(expected: Any, place: Place) -> Test:
    if place.coerce:
        wanted = _coerced(expected)
        return lambda value: same(_coerced(value), wanted)
    if expected is None or isinstance(expected, bool):
        return lambda value: value is expected
    if isinstance(expected, str):
        return partial(operator.eq, expected)
    return lambda value: same(value, expected)


def _one_of(expected: Sequence[Any], place: Place) -> Test:
    if not place.coerce and all(isinstance(each, str) for each in expected):
        texts = frozenset(expected)
        return lambda value: value.__class__ is str and value in texts
    tests = [_equal(each, place) for each in expected]
    return lambda value: any(test(value) for test in tests)


def _ordering(compare: Callable[[Any, Any], bool]) -> Maker:
    def make(expected: Any, place: Place) -> Test:
        wanted = _coerced(expected) if place.coerce else expected
        return lambda value: value is not MISSING and value is not None and compare(*_pair(value, wanted, place))

    return make


def _pair(value: Any, wanted: Any, place: Place) -> tuple[Any, Any]:
    if place.coerce:
        value = _coerced(value)
    if is_number(value) and is_number(wanted):
        return aligned(value, wanted)
    if value.__class__ is str and wanted.__class__ is str:
        return value, wanted
    advice = (
        " (coerce: true reads numbers from text)" if {value.__class__, wanted.__class__} <= {str, int, float} else ""
    )
    raise place.reject(value, f"the {kind_of(wanted)} {shown(wanted)}{advice}")


def _between(expected: Sequence[Any], place: Place) -> Test:
    low, high = (_ordering(c)(e, place) for c, e in zip((operator.ge, operator.le), expected, strict=True))
    return lambda value: low(value) and high(value)


def _contains(expected: Any, place: Place) -> Test:
    equal = _equal(expected, place)

    def test(value: Any) -> bool:
        if value.__class__ is list:
            return any(map(equal, value))
        if value.__class__ is str and expected.__class__ is str:
            return expected in value
        return _nothing(value, place, f"an element of a list, or text in a text (here {shown(expected)})")

    return test


def _nothing(value: Any, place: Place, expected: str) -> bool:
    """False for nothing; anything else cannot be compared."""
    if value is MISSING or value is None:
        return False
    raise place.reject(value, expected)


def _on_text(test: Callable[[str], bool], place: Place) -> Test:
    return lambda value: test(value) if value.__class__ is str else _nothing(value, place, "text")


def _starts_with(expected: str, place: Place) -> Test:
    return _on_text(lambda text: text.startswith(expected), place)


def _ends_with(expected: str, place: Place) -> Test:
    return _on_text(lambda text: text.endswith(expected), place)


def _matches(expected: str, place: Place) -> Test:
    return _on_text(finder(expected), place)


def _glob(expected: str, place: Place) -> Test:
    return _on_text(finder(glob_pattern(expected)), place)


def _exists(value: Any) -> bool:
    return value is not MISSING


def _is_null(value: Any) -> bool:
    return value is None


def _is_empty(value: Any) -> bool:
    return value is MISSING or value is None or (value.__class__ in (str, list, dict) and not value)


def _state(test: Test, wanted: bool) -> Maker:
    """A comparator that takes true or false."""
    return lambda expected, place: test if expected is wanted else _not(test)


def _negated(make: Maker) -> Maker:
    return lambda expected, place: _not(make(expected, place))


def _not(test: Test) -> Test:
    return lambda value: not test(value)


def _type_is(expected: str, place: Place) -> Test:
    kinds = {"number", "integer"} if expected == "number" else {expected}
    return lambda value: value is not MISSING and kind_of(value) in kinds


COMPARATORS: dict[str, Maker] = {
    "eq": _equal,
    "ne": _negated(_equal),
    "gt": _ordering(operator.gt),
    "gte": _ordering(operator.ge),
    "lt": _ordering(operator.lt),
    "lte": _ordering(operator.le),
    "in": _one_of,
    "not_in": _negated(_one_of),
    "contains": _contains,
    "not_contains": _negated(_contains),
    "starts_with": _starts_with,
    "ends_with": _ends_with,
    "matches": _matches,
    "glob": _glob,
    "exists": _state(_exists, True),
    "not_exists": _state(_exists, False),
    "is_null": _state(_is_null, True),
    "is_empty": _state(_is_empty, True),
    "not_empty": _state(_is_empty, False),
    "between": _between,
    "type_is": _type_is,
}
"""By the name that the YAML uses."""
