"""Read a body to its proven end, within limits.

HTTP libraries take a gzip body that was cut in half for a whole one, so the bytes are unpacked here. What the length
or the last chunk proves is proven by the protocol below. A body that ends with its connection (HTTP/1.0) has no such
proof: it counts only because JSON has a closing bracket, which the reader of the page insists on.
"""

from __future__ import annotations

import zlib

from airflow_datahub.errors import ConfigurationError
from airflow_datahub.http.limits import MEGABYTE, Limits, sized
from airflow_datahub.http.retrying import TryAgain

ASKED_FOR = "gzip, deflate"

RATIO_COUNTS_ABOVE = 8 * MEGABYTE
MOST_MEMBERS = 10_000
"""Parts that a gzip body may consist of, as an archive may."""

SLICE = 64 * 1024
"""Packed bytes that are unpacked at once: a bomb is noticed before it has filled the memory."""

GZIP = 31
"""The window bits that make zlib expect a gzip header and check the checksum."""
ZLIB = 15
RAW = -15


def body_of(encoding: str, announced: int | None, limits: Limits) -> Plain:
    """What takes the chunks of a body; `encoding` is what the answer's Content-Encoding says, `announced` its
    Content-Length. Raises ConfigurationError for a packing that was not asked for, or a length beyond the limits."""
    if announced is not None and announced > limits.body:
        raise ConfigurationError(f"the answer announces {announced:,} bytes; {_advice(limits.body, 'max_body')}")
    packing = encoding.strip().lower()
    told = announced is not None and packing in ("", "identity")  # a packed body tells its packed length only
    unannounced = not told and limits.unannounced < limits.body
    largest, option = (limits.unannounced, "max_unannounced") if unannounced else (limits.body, "max_body")
    match packing:
        case "" | "identity":
            return Plain(largest, option)
        case "gzip" | "x-gzip":
            return Gzip(largest, option, limits.ratio)
        case "deflate":
            return Deflate(largest, option, limits.ratio)
    raise ConfigurationError(f"the answer is packed with {encoding[:40]!r}, though {ASKED_FOR} was asked for")


def _advice(largest: int, option: str) -> str:
    where = f"({option!r} in the extra of the connection, or what the step says)"
    return f"it may have {sized(largest)} {where}; ask for smaller pages"


class Plain:
    """A body that comes as it is; its length is checked by the protocol below."""

    def __init__(self, largest: int, option: str):
        self.content = bytearray()
        self._largest = largest
        self._option = option

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes from the wire. Raises TryAgain for broken ones, ConfigurationError for too many."""
        self.content += chunk
        if len(self.content) > self._largest:
            raise ConfigurationError(f"the answer has no end in sight; {_advice(self._largest, self._option)}")

    def prove_whole(self) -> None:
        """Raise TryAgain unless the end was reached."""


class Gzip(Plain):
    """A body of one or several gzip members."""

    name = "gzip"

    def __init__(self, largest: int, option: str, ratio: int):
        super().__init__(largest, option)
        self._ratio = ratio
        self._received = 0
        self._members = 0
        self._member: zlib._Decompress | None = None

    def feed(self, chunk: bytes) -> None:
        for start in range(0, len(chunk), SLICE):
            part = chunk[start : start + SLICE]
            self._received += len(part)
            try:
                while part:
                    part = self._unpack(part)
            except zlib.error as error:
                raise TryAgain(f"the {self.name} body is broken: {error}") from error

    def _unpack(self, chunk: bytes) -> bytes:
        """Returns what lies behind the end of a member."""
        if self._member is None or self._member.eof:
            self._members += 1
            self._member = self._begin(chunk)
        allowed = min(self._largest, max(RATIO_COUNTS_ABOVE, self._ratio * self._received))
        self.content += self._member.decompress(chunk, allowed - len(self.content) + 1)
        if len(self.content) > allowed:
            raise ConfigurationError(
                f"the answer unpacks to more than {sized(allowed)} out of {self._received:,} bytes, beyond 'max_ratio' "
                f"or {self._option!r} in the extra of the connection; ask for smaller pages"
            )
        return self._member.unused_data

    def _begin(self, chunk: bytes) -> zlib._Decompress:
        if self._members > MOST_MEMBERS:
            raise ConfigurationError(f"the answer consists of more than {MOST_MEMBERS:,} gzip members")
        return zlib.decompressobj(GZIP)

    def prove_whole(self) -> None:
        if self._member is not None and not self._member.eof:
            raise TryAgain(f"the {self.name} body ends in the middle")


class Deflate(Gzip):
    """A body packed by zlib, with its header and checksum (RFC 9110, 8.4.1.2) or, as some servers have it, without."""

    name = "deflate"

    def _begin(self, chunk: bytes) -> zlib._Decompress:
        if self._members > 1:
            raise TryAgain("something follows the end of the deflate body")
        return zlib.decompressobj(ZLIB if _has_zlib_header(chunk) else RAW)


def _has_zlib_header(chunk: bytes) -> bool:
    """RFC 1950, 2.2; a single byte has to do where no more came yet."""
    return chunk[0] & 0x0F == 8 and (len(chunk) < 2 or (chunk[0] << 8 | chunk[1]) % 31 == 0)
