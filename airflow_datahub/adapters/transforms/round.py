"""Round a number, by its decimal digits: 2.675 with two digits is 2.68 by `half_up`, whatever a float makes of it.

Example:
    round: {field: price, digits: 1, mode: half_up}

Given:
    - {price: 0.25}
    - {price: 7}

Gives:
    - {price: 0.3}
    - {price: 7}
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from airflow_datahub.amounts import Rounding, as_given, decimal, rounded
from airflow_datahub.conversion import Conversion, Convert


class Round(Conversion):
    digits: Annotated[int, Field(ge=-30, le=30)] = 0
    """Digits behind the point; -3 rounds to thousands."""

    mode: Rounding = "half_even"
    """What becomes of the rest: half_even is what banks do, half_up what schools do."""

    def conversion(self) -> Convert:
        return lambda value: as_given(rounded(self.field, decimal(self.field, value), self.digits, self.mode), value)
