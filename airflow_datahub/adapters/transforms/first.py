"""Take the first element of a list.

An empty list gives null, or the `default`.

Example:
    first: {field: images, to: image}

Given:
    - {images: [a.png, b.png]}

Gives:
    - {images: [a.png, b.png], image: a.png}
"""

from __future__ import annotations

from copy import deepcopy

from airflow_datahub.conditions.values import Constant
from airflow_datahub.conversion import Conversion, Convert, of_list


class First(Conversion):
    default: Constant = None
    """What an empty list gives."""

    def conversion(self) -> Convert:
        return of_list(self.field, lambda elements: elements[0] if elements else deepcopy(self.default))
