"""The mapping that compares one field: `{field: total, gt: 0, lte: 100}`; several comparators must all hold."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StrictBool,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from airflow_datahub.conditions.comparators import COMPARATORS, Place, Test, aligned
from airflow_datahub.conditions.patterns import Glob, Regex
from airflow_datahub.conditions.values import Constant, Kind, is_number, kind_of, shown
from airflow_datahub.contract import Record
from airflow_datahub.paths import MISSING, FieldPath, getter, parse

Check = Callable[[Record], bool]
"""A compiled condition. Raises RejectRecord for a record that it cannot judge."""

CONFIG = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

_NULLABLE = frozenset({"eq", "ne", "contains", "not_contains"})


def mistake(message: str, *at: str | int, value: Any = None, kind: str = "condition") -> ValidationError:
    """A validation error at a key inside the condition, so that it is reported on that key's line."""
    error = PydanticCustomError(kind, "{reason}", {"reason": message})
    return ValidationError.from_exception_data("condition", [InitErrorDetails(type=error, loc=at, input=value)])


def _ordered(value: Any) -> Any:
    if is_number(value) or isinstance(value, str):
        return value
    raise PydanticCustomError("ordered", "{reason}", {"reason": f"needs a number or text, not {shown(value)}"})


def _range(pair: tuple[Any, Any]) -> tuple[Any, Any]:
    low, high = pair
    if is_number(low) is not is_number(high):
        reason = f"both ends must be numbers or both text, not {kind_of(low)} and {kind_of(high)}"
        raise PydanticCustomError("range", "{reason}", {"reason": reason})
    first, last = aligned(low, high) if is_number(low) else pair
    if first > last:
        raise PydanticCustomError(
            "range", "{reason}", {"reason": f"{shown(low)} is above {shown(high)}: low end first"}
        )
    return pair


Ordered = Annotated[Constant, AfterValidator(_ordered)]
Range = Annotated[tuple[Ordered, Ordered], AfterValidator(_range)]
Choices = Annotated[list[Constant], Field(min_length=1)]


class Comparison(BaseModel):
    """A field and what must hold of it."""

    model_config = CONFIG

    field: FieldPath
    """The field that is compared, a dotted path."""
    eq: Constant = None
    """Equals; text and numbers differ unless `coerce`."""
    ne: Constant = None
    """Does not equal."""
    gt: Ordered | None = None
    """Is greater than."""
    gte: Ordered | None = None
    """Is greater than or equal to."""
    lt: Ordered | None = None
    """Is less than."""
    lte: Ordered | None = None
    """Is less than or equal to."""
    in_: Choices | None = Field(default=None, alias="in")
    """Is one of the list."""
    not_in: Choices | None = None
    """Is none of the list."""
    contains: Constant = None
    """A text with this part, or a list with this element."""
    not_contains: Constant = None
    """A text without this part, or a list without this element."""
    starts_with: str | None = None
    """A text that starts so."""
    ends_with: str | None = None
    """A text that ends so."""
    matches: Regex | None = None
    """A text in which this regex is found (Rust's syntax: no look-around; anchor with ^ and $)."""
    glob: Glob | None = None
    """A text that as a whole is like this: * any text, ? one character, [a-z] one of a set."""
    exists: StrictBool | None = None
    """Is there, be it null."""
    not_exists: StrictBool | None = None
    """Is not there."""
    is_null: StrictBool | None = None
    """Is there and null."""
    is_empty: StrictBool | None = None
    """Is missing, null, "", [] or {}."""
    not_empty: StrictBool | None = None
    """Is none of missing, null, "", [], {}."""
    between: Range | None = None
    """Lies between two values, both included."""
    type_is: Kind | None = None
    """Has this JSON type; an integer is a number too."""
    coerce: StrictBool = False
    """Numbers may arrive as text: "12" is 12."""

    known: ClassVar[frozenset[str]] = frozenset({"field", "coerce", *COMPARATORS})

    @model_validator(mode="before")
    @classmethod
    def _names(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            for name in given:
                if name not in cls.known:
                    near = difflib.get_close_matches(str(name), cls.known, n=1)
                    advice = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(COMPARATORS)}"
                    raise mistake(f"no comparator {str(name)!r}{advice}", str(name), value=name)
        return given

    @field_validator("*", mode="before")
    @classmethod
    def _given(cls, value: Any, info: ValidationInfo) -> Any:
        if value is None and info.field_name not in _NULLABLE:
            raise PydanticCustomError("null", "needs a value; to find a null write `is_null: true`")
        return value

    @model_validator(mode="after")
    def _some(self) -> Comparison:
        if not self._comparators():
            message = f"compares {self.field!r} with nothing: add one of {', '.join(COMPARATORS)}"
            raise mistake(message, "field", value=self.field)
        return self

    @model_serializer(mode="wrap")
    def _dump(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Only what was given: null is a value to `eq`."""
        unset = type(self).model_fields.keys() - self.model_fields_set
        hidden = unset | {type(self).model_fields[name].alias for name in unset}
        return {name: value for name, value in handler(self).items() if name not in hidden}

    def fields(self) -> frozenset[str]:
        """The path that it looks at."""
        return frozenset({self.field})

    def compile(self) -> Check:
        """The function of one record."""
        tests = [self._test(name, value) for name, value in self._comparators().items()]
        test = tests[0] if len(tests) == 1 else _every(tests)
        names = parse(self.field)
        if len(names) == 1:
            name = names[0]
            return lambda record: test(record.get(name, MISSING))
        get = getter(self.field)
        return lambda record: test(get(record))

    def _comparators(self) -> dict[str, Any]:
        given = self.model_fields_set - {"field", "coerce"}
        return {name.rstrip("_"): getattr(self, name) for name in type(self).model_fields if name in given}

    def _test(self, name: str, value: Any) -> Test:
        return COMPARATORS[name](value, Place(name, self.field, self.coerce))


def _every(tests: list[Test]) -> Test:
    return lambda value: all(test(value) for test in tests)
