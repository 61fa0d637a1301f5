"""Put the elements of lists in a list into that list itself.

Example:
    flatten: {field: tags}

Given:
    - {tags: [a, [b, [c]]]}

Gives:
    - {tags: [a, b, c]}
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from airflow_datahub.conversion import Conversion, Convert, of_list

_DEEPEST = 64


class Flatten(Conversion):
    depth: Annotated[int, Field(ge=1, le=_DEEPEST)] = _DEEPEST
    """How deep lists are opened."""

    def conversion(self) -> Convert:
        return of_list(self.field, lambda elements: _flat(elements, self.depth))


def _flat(elements: list[Any], depth: int) -> list[Any]:
    made: list[Any] = []
    for each in elements:
        if each.__class__ is list and depth:
            made += _flat(each, depth - 1)
        else:
            made.append(each)
    return made
