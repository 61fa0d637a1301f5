"""Make true or false of a value that means it, whatever its case: yes and no, 1 and 0, on and off.

Any other value is rejected.

Example:
    to_boolean: {field: active}

Given:
    - {active: "Yes"}
    - {active: 0}
    - {active: true}

Gives:
    - {active: true}
    - {active: false}
    - {active: true}
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from airflow_datahub.conversion import Conversion, Convert, mistake, unfit

Words = Annotated[list[str], Field(min_length=1)]


class ToBoolean(Conversion):
    true: Words = ["true", "t", "yes", "y", "on", "1"]  # noqa: RUF012 - pydantic copies it
    """Texts that mean true."""

    false: Words = ["false", "f", "no", "n", "off", "0"]  # noqa: RUF012
    """Texts that mean false."""

    @model_validator(mode="after")
    def _differ(self) -> ToBoolean:
        if both := {each.lower() for each in self.true} & {each.lower() for each in self.false}:
            raise mistake(f"{sorted(both)[0]!r} cannot mean both true and false")
        return self

    def conversion(self) -> Convert:
        meaning = {each.lower(): False for each in self.false} | {each.lower(): True for each in self.true}

        def convert(value: object) -> bool:
            if value.__class__ is bool:
                return value
            text = value.strip().lower() if isinstance(value, str) and len(value) < 1000 else value
            if value.__class__ is int and value in (0, 1):
                text = str(value)
            if not isinstance(text, str) or text not in meaning:
                raise unfit(self.field, value, "means neither true nor false")
            return meaning[text]

        return convert
