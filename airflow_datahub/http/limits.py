"""Limits on what the other side decides: the size of a body, how it is packed, how deep its JSON is."""

from __future__ import annotations

from dataclasses import dataclass, replace

MEGABYTE = 2**20


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes; RELIABILITY's defaults."""

    body: int = 256 * MEGABYTE
    """Unpacked."""
    unannounced: int = 64 * MEGABYTE
    """Unpacked, where no Content-Length says beforehand how long that is (of a packed body none does): one without end
    would fill the memory otherwise."""
    ratio: int = 100
    """Unpacked to packed, above 8 MiB."""
    headers: int = 64 * 1024
    """Names and values of one answer together."""
    redirects: int = 5
    depth: int = 64
    """Lists and objects within one another, in a record."""
    record: int = 10 * MEGABYTE
    """One record as JSON text."""

    def at_most(self, largest: int | None) -> Limits:
        """These limits with a body no larger than that."""
        return self if largest is None else replace(self, body=min(self.body, largest))


def sized(size: int) -> str:
    """A size for a person."""
    return f"{size:,} bytes" if size % MEGABYTE else f"{size // MEGABYTE} MiB"
