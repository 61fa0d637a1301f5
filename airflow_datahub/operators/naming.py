"""What a task of a hand-written DAG is called in checkpoints, ledger and rejects."""

from __future__ import annotations

import hashlib
import re

LONGEST = 200
"""Characters of a pipeline's id."""


def identity(*names: str) -> str:
    """One id for several names, such as those of a DAG and of its task: `shop__orders`.

    Where that could stand for other names, too, or is no id (dots, as in the name of a task in a group, two underscores
    in a row, 200 characters), what does not fit becomes `-` and ten digits of a hash over the names follow."""
    joined = "__".join(names)
    if len(joined) <= LONGEST and all(map(_plain, names)):
        return joined
    digits = hashlib.sha256("\0".join(names).encode()).hexdigest()[:10]
    return f"{re.sub('[^A-Za-z0-9_-]', '-', joined)[: LONGEST - 11]}-{digits}"


def _plain(name: str) -> bool:
    return bool(re.fullmatch("[A-Za-z0-9_-]+", name)) and not re.search("__|^_|_$", name)
