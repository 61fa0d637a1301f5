"""A condition is one of: a mapping that compares a field, `all`, `any` or `not` of conditions, a CEL text.

    {field: country, in: [DE, FR]}
    {any: [{field: total, gt: 100}, {not: {field: coupon, exists: true}}]}
    record.country in ['DE', 'FR'] && record.total > 100.0

What comparators do with values of another type, null and missing fields: `comparators.py`. A CEL text sees the record
as `record` (`expression.py`) and must give true or false; what it cannot work out rejects the record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    RootModel,
    SerializationInfo,
)
from pydantic_core import PydanticCustomError

from airflow_datahub.conditions.comparison import CONFIG, Check, Comparison
from airflow_datahub.conditions.expression import compile_expression
from airflow_datahub.conditions.values import kind_of
from airflow_datahub.errors import RejectRecord


def _checked(text: str) -> str:
    try:
        compile_expression(text)
    except ValueError as error:
        raise PydanticCustomError("cel", "{reason}", {"reason": str(error)}) from error
    return text


class Cel(RootModel[Annotated[str, AfterValidator(_checked)]]):
    """A CEL text over `record` that gives true or false."""

    model_config = ConfigDict(frozen=True)

    def fields(self) -> None:
        """It may look anywhere."""

    def compile(self) -> Check:
        """The function of one record."""
        evaluate = compile_expression(self.root)

        def check(record: dict[str, Any]) -> bool:
            result = evaluate(record, {})
            if result is not True and result is not False:
                raise RejectRecord(f"{self.root!r} gives a value of type {kind_of(result)}, not true or false")
            return result

        return check


class AllOf(BaseModel):
    """Every one of several conditions."""

    model_config = CONFIG

    all: Annotated[list[Condition], Field(min_length=1)]
    """The conditions, tried in order up to the first that fails."""

    def fields(self) -> frozenset[str] | None:
        """The paths that it looks at; None: any."""
        return _united(self.all)

    def compile(self) -> Check:
        """The function of one record."""
        checks = [each.compile() for each in self.all]
        return lambda record: all(check(record) for check in checks)


class AnyOf(BaseModel):
    """At least one of several conditions."""

    model_config = CONFIG

    any: Annotated[list[Condition], Field(min_length=1)]
    """The conditions, tried in order up to the first that holds."""

    def fields(self) -> frozenset[str] | None:
        """The paths that it looks at; None: any."""
        return _united(self.any)

    def compile(self) -> Check:
        """The function of one record."""
        checks = [each.compile() for each in self.any]
        return lambda record: any(check(record) for check in checks)


class Not(BaseModel):
    """The contrary of a condition."""

    model_config = CONFIG

    not_: Condition = Field(alias="not")
    """The condition that must not hold."""

    def fields(self) -> frozenset[str] | None:
        """The paths that it looks at; None: any."""
        return self.not_.fields()

    def compile(self) -> Check:
        """The function of one record."""
        check = self.not_.compile()
        return lambda record: not check(record)


def _united(conditions: Sequence[Form]) -> frozenset[str] | None:
    fields = [each.fields() for each in conditions]
    known = [each for each in fields if each is not None]
    return frozenset[str]().union(*known) if len(known) == len(fields) else None


Form = Cel | Comparison | AllOf | AnyOf | Not
_GROUPS: dict[str, type[AllOf] | type[AnyOf] | type[Not]] = {"all": AllOf, "any": AnyOf, "not": Not}


def condition(value: Any) -> Form:
    """Read a condition from what the YAML says. Raises pydantic's ValidationError, located inside the condition."""
    if isinstance(value, Form):
        return value
    if isinstance(value, str):
        return Cel.model_validate(value)
    if not isinstance(value, Mapping):
        raise PydanticCustomError(
            "condition", "a condition is a CEL text or a mapping such as {field: country, in: [DE, FR]}"
        )
    group = next((model for key, model in _GROUPS.items() if key in value), Comparison)
    return group.model_validate(value)


def _dumped(value: Form, info: SerializationInfo) -> Any:
    return value.model_dump(mode=info.mode, by_alias=True)


Condition = Annotated[Form, PlainValidator(condition, json_schema_input_type=Form), PlainSerializer(_dumped)]
"""The type of a model's field that holds a condition; its value has `compile() -> Callable[[Record], bool]`."""

for _model in (AllOf, AnyOf, Not):
    _model.model_rebuild()
