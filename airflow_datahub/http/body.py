"""Read a body to its proven end, within limits.

httpx takes a gzip body that was cut in half for a whole one, so the bytes are unpacked here.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator

from airflow_datahub.errors import ConfigurationError
from airflow_datahub.http.retrying import TryAgain

LARGEST_BODY = 256 * 2**20
"""Bytes, unpacked."""
HIGHEST_RATIO = 100
RATIO_COUNTS_ABOVE = 8 * 2**20

GZIP = 31
"""The window bits that make zlib expect a gzip header and check the checksum."""


async def read_whole(chunks: AsyncIterator[bytes], encoding: str) -> bytearray:
    """The unpacked body; `encoding` is what the answer's Content-Encoding says.

    Raises TryAgain for a body that is broken or ends early, ConfigurationError for one that is too large or packed in a
    way that was not asked for."""
    body = _body(encoding)
    async for chunk in chunks:
        body.feed(chunk)
    body.prove_whole()
    return body.content


def _body(encoding: str) -> Plain:
    match encoding.strip().lower():
        case "" | "identity":
            return Plain()
        case "gzip" | "x-gzip":
            return Gzip()
    raise ConfigurationError(f"the answer is packed with {encoding[:40]!r}, though gzip was asked for")


class Plain:
    """A body that comes as it is; its length is checked by the protocol below."""

    def __init__(self) -> None:
        self.content = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes from the wire."""
        self.content += chunk
        if len(self.content) > LARGEST_BODY:
            raise ConfigurationError(f"the answer is larger than {LARGEST_BODY // 2**20} MiB; ask for smaller pages")

    def prove_whole(self) -> None:
        """Raise TryAgain unless the end was reached."""


class Gzip(Plain):
    """A body of one or several gzip members."""

    def __init__(self) -> None:
        super().__init__()
        self._received = 0
        self._member = zlib.decompressobj(GZIP)

    def feed(self, chunk: bytes) -> None:
        self._received += len(chunk)
        try:
            while chunk:
                chunk = self._unpack(chunk)
        except zlib.error as error:
            raise TryAgain(f"the gzip body is broken: {error}") from error

    def _unpack(self, chunk: bytes) -> bytes:
        """Returns what lies behind the end of a member."""
        if self._member.eof:
            self._member = zlib.decompressobj(GZIP)
        allowed = min(LARGEST_BODY, max(RATIO_COUNTS_ABOVE, HIGHEST_RATIO * self._received))
        self.content += self._member.decompress(chunk, allowed - len(self.content) + 1)
        if len(self.content) > allowed:
            raise ConfigurationError(
                f"the answer unpacks to more than {allowed // 2**20} MiB out of {self._received} bytes; "
                "ask for smaller pages"
            )
        return self._member.unused_data

    def prove_whole(self) -> None:
        if self._received and not self._member.eof:
            raise TryAgain("the gzip body ends in the middle")
