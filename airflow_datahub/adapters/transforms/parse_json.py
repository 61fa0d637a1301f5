"""Read a text that holds JSON. What is no JSON is rejected.

Example:
    parse_json: {field: payload}

Given:
    - {payload: '{"a": [1, 2.5]}'}

Gives:
    - {payload: {a: [1, 2.5]}}
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from airflow_datahub.conversion import Conversion, Convert, unfit

_LONGEST = 10_000_000
_DEEPEST = 64


class ParseJson(Conversion):
    decimals: bool = False
    """Read numbers with a point as decimals, which keep every digit."""

    def conversion(self) -> Convert:
        decoder: Any = msgspec.json.Decoder(float_hook=Decimal) if self.decimals else msgspec.json.Decoder()

        def convert(value: Any) -> Any:
            if not isinstance(value, str) or len(value) > _LONGEST:
                raise unfit(self.field, value, f"is not a text of at most {_LONGEST:,} characters")
            try:
                found = decoder.decode(value)
            except (ValueError, RecursionError, ArithmeticError) as error:
                raise unfit(self.field, value, f"is not JSON: {error}") from error
            if not _is_shallow(found, _DEEPEST):
                raise unfit(self.field, value, f"is nested more than {_DEEPEST} deep")
            return found

        return convert


def _is_shallow(value: Any, depth: int) -> bool:
    kind = value.__class__
    if kind is not dict and kind is not list:
        return True
    return depth > 0 and all(_is_shallow(each, depth - 1) for each in (value.values() if kind is dict else value))
