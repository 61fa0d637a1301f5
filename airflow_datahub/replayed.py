"""What a reject is called while it is replayed: the name under which a sink applies it once.

    reject:17:tidy:3f2a…      reject 17, which enters at the step `tidy`
    reject:17::90bd…          what became of it, behind the files of a stage: it enters at the start

What becomes of it may take several ways to one sink, so each way that it takes gives it another name; those are the
same each time, because steps are pure.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

_LENGTH = 32


def named(reject: int, entry: str, place: tuple[object, ...]) -> str:
    """The name of a reject; `place` is what no other one has, also of another store."""
    return _joined(reject, entry, repr(place))


def reject_of(name: str) -> int:
    """The id of the reject."""
    return int(name.split(":")[1])


def entry_of(name: str) -> str:
    """Where it enters; empty: at the start."""
    return name.split(":")[2]


def on(name: str, way: str) -> str:
    """The name behind a way that it has taken."""
    return _joined(reject_of(name), "", f"{name} {way}")


def apart(names: Sequence[str]) -> list[str]:
    """The names of records that are handed on together: several may have become of one reject."""
    seen, found = Counter[str](), list[str]()
    for name in names:
        found.append(on(name, str(seen[name])) if seen[name] else name)
        seen[name] += 1
    return found


def _joined(reject: int, entry: str, text: str) -> str:
    return f"reject:{reject}:{entry}:{hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]}"
