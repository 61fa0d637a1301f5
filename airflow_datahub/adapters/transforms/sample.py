"""Let a part of the records through: the same ones in every try of a run.

With a `key` records of the same key go together, in every run.

Example:
    sample: {share: 50%, key: [user]}

Given:
    - {user: a}
    - {user: d}
    - {user: a}

Gives:
    - {user: a}
    - {user: a}
"""

from __future__ import annotations

import hashlib
from typing import Annotated

from pydantic import AfterValidator, Field

from airflow_datahub.contract import Function, Record, Run, Transform
from airflow_datahub.conversion import mistake
from airflow_datahub.paths import MISSING, FieldPath, getter
from airflow_datahub.texts import json_text

_WHOLE = 1 << 64


def _share(text: str) -> str:
    try:
        part = float(text.removesuffix("%"))
    except ValueError:
        part = -1
    if not text.endswith("%") or not 0 < part <= 100:
        raise mistake(f"{text!r} is no share such as 10%, above 0% and at most 100%")
    return text


class Sample(Transform):
    share: Annotated[str, AfterValidator(_share)]
    """How many of the records go on."""

    key: Annotated[list[FieldPath], Field(min_length=1)] | None = None
    """Fields by whose values it is decided; left out, by the whole record and the run."""

    def compile(self, run: Run) -> Function:
        below = int(float(self.share.removesuffix("%")) / 100 * _WHOLE)
        getters, seed = [getter(name) for name in self.key or ()], b"" if self.key else run.run_id.encode()

        def sample(record: Record) -> Record | None:
            of = [None if (v := get(record)) is MISSING else v for get in getters] if getters else record
            digest = hashlib.blake2b(seed + json_text(None, of, canonical=True), digest_size=8).digest()
            return record if int.from_bytes(digest) < below else None

        return sample
