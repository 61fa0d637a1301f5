"""An HTTP server that does everything wrong, one way a path; `python -m tests.http.hostile_server` serves it by itself.

Each behaviour is a script of bytes and seconds for `tests.hostile.Hostile`, told anew for every request.
"""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from tests.hostile import Asked, Close, Hostile, Reply, Reset, reply

RECORDS = json.dumps({"data": [{"id": n, "text": "0123456789" * 5} for n in range(100)], "next": None}).encode()
PACKED = gzip.compress(RECORDS)
DEFLATED = zlib.compress(RECORDS)
CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n"
ENDED_BY_CLOSE = b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n"


def chunks(body: bytes, size: int = 500) -> bytes:
    """A body in chunks, with the last one."""
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def closed(raw: bytes) -> Reply:
    """These bytes, and the end of the connection."""
    return [raw, Close]


def packed(body: bytes, encoding: str = "gzip") -> bytes:
    """An answer that claims to be packed."""
    return reply(body, content_encoding=encoding)


def announced(length: bytes) -> bytes:
    """The records under another length."""
    return reply(RECORDS).replace(b"content-length: %d" % len(RECORDS), b"content-length: " + length)


def moved(location: str, status: int = 302) -> bytes:
    return reply("", status, location=location)


def endless(head: bytes, part: bytes) -> Iterator[bytes]:
    yield head
    while True:
        yield part


def bomb(size: int) -> bytes:
    """Zeros, packed a thousand times smaller."""
    packer, block = zlib.compressobj(9, zlib.DEFLATED, 31), bytes(2**20)
    return b"".join(packer.compress(block) for _ in range(size // len(block))) + packer.flush()


def slowly(raw: bytes, seconds: float) -> Iterator[bytes | float]:
    for position in range(len(raw)):
        yield raw[position : position + 1]
        yield seconds


def date(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


BROKEN: dict[str, Callable[[], Reply]] = {
    "closed at once": lambda: [Close],
    "reset at once": lambda: [Reset],
    "reset in the body": lambda: [reply(RECORDS)[:-50], Reset],
    "head cut": lambda: closed(reply(RECORDS)[:20]),
    "body cut": lambda: closed(reply(RECORDS)[:-1]),
    "longer length than body": lambda: closed(reply(RECORDS).replace(b"content-length: ", b"content-length: 1")),
    "shorter length than body": lambda: reply(RECORDS).replace(
        b"content-length: %d" % len(RECORDS), b"content-length: 99"
    ),
    "two lengths": lambda: reply(RECORDS, content_length="7"),
    "a length of letters": lambda: reply(RECORDS).replace(
        b"content-length: %d" % len(RECORDS), b"content-length: many"
    ),
    "a negative length": lambda: reply(RECORDS).replace(b"content-length: ", b"content-length: -"),
    "last chunk missing": lambda: closed(CHUNKED + b"\r\n" + chunks(RECORDS)[:-5]),
    "end of last chunk missing": lambda: closed(CHUNKED + b"\r\n" + chunks(RECORDS)[:-2]),
    "chunk of letters": lambda: closed(CHUNKED + b"\r\nzz\r\n" + RECORDS),
    "chunk without an end": lambda: closed(CHUNKED + b"\r\n" + chunks(RECORDS).replace(b"\r\n1f4", b"1f4")),
    "chunk of a huge size": lambda: closed(CHUNKED + b"\r\n" + b"f" * 40 + b"\r\n" + RECORDS),
    "ended by close, JSON open": lambda: closed(ENDED_BY_CLOSE + b"\r\n" + RECORDS[:-1]),
    "not HTTP": lambda: closed(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "HTTP/0.9": lambda: closed(RECORDS),
    "status of letters": lambda: closed(b"HTTP/1.1 OK fine\r\n\r\n" + RECORDS),
    "half a gzip": lambda: packed(PACKED[: len(PACKED) // 2]),
    "half a gzip in chunks": lambda: CHUNKED + b"content-encoding: gzip\r\n\r\n" + chunks(PACKED[: len(PACKED) // 2]),
    "half a gzip, closed": lambda: closed(ENDED_BY_CLOSE + b"content-encoding: gzip\r\n\r\n" + PACKED[:-20]),
    "gzip without its checksum": lambda: packed(PACKED[:-8]),
    "gzip of another checksum": lambda: packed(PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:]),
    "gzip with a tail": lambda: packed(PACKED + b"tail"),
    "gzip with zeros behind": lambda: packed(PACKED + bytes(20)),
    "no gzip at all": lambda: packed(RECORDS),
    "nothing, called gzip": lambda: packed(b""),
    "half a deflate": lambda: packed(DEFLATED[:-3], "deflate"),
    "deflate with a tail": lambda: packed(DEFLATED + b"tail", "deflate"),
    "partial content": lambda: reply(RECORDS, 206),
    "JSON cut": lambda: reply(RECORDS[:-2]),
    "JSON twice": lambda: reply(RECORDS + RECORDS),
    "empty": lambda: reply(b""),
    "headers without end": lambda: endless(b"HTTP/1.1 200 OK\r\n", b"x-more: and more\r\n" * 1000),
    "a header without end": lambda: endless(b"HTTP/1.1 200 OK\r\nx-long: ", b"y" * 65_536),
    "a status line without end": lambda: endless(b"HTTP/1.1 200 ", b"y" * 65_536),
    "a chunk size without end": lambda: endless(CHUNKED + b"\r\n", b"0" * 65_536),
    "trailers without end": lambda: endless(CHUNKED + b"\r\n0\r\n", b"x-more: and more\r\n" * 1000),
    "promises without end": lambda: endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "silence": lambda: [30.0],
    "slow headers": lambda: slowly(reply(RECORDS), 0.05),
    "slow body": lambda: (part for part in (CHUNKED + b"\r\n", *slowly(chunks(RECORDS), 0.05))),
    "half a body, then silence": lambda: [reply(RECORDS)[:-50], 30.0],
    **{f"status {status}": lambda status=status: reply("no", status) for status in (500, 502, 503, 504, 599)},  # type: ignore[misc]
}
"""What another try may cure; no page comes of any."""

REFUSED: dict[str, Callable[[], Reply]] = {
    "a bomb": lambda: packed(bomb(64 * 2**20)),
    "a bomb in a bomb": lambda: packed(gzip.compress(bomb(64 * 2**20)), "gzip, gzip"),
    "an unknown packing": lambda: packed(RECORDS, "br"),
    "gzip members without end": lambda: packed(gzip.compress(b"") * 20_000),
    "a length beyond all limits": lambda: closed(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n"),
    "large headers": lambda: reply(RECORDS, **{f"x_{n}": "y" * 1000 for n in range(70)}),
    "gzip twice, called gzip": lambda: packed(gzip.compress(PACKED)),
    "JSON with junk inside": lambda: reply(RECORDS.replace(b'"data":', b'"data"', 1)),
    "HTML": lambda: reply("<html>sign in</html>", content_type="text/html"),
    "redirect in a circle": lambda: moved("/redirect%20in%20a%20circle"),
    "redirect to nowhere": lambda: moved(""),
    "redirect to garbage": lambda: moved("http://[::1"),
    "redirect to a file": lambda: moved("file:///etc/passwd"),
    "redirect to gopher": lambda: moved("gopher://127.0.0.1:70/"),
    "redirect with a login": lambda: moved("http://me:pw@127.0.0.1/"),
    "redirect to the metadata of a cloud": lambda: moved("http://169.254.169.254/latest/meta-data/"),
    "redirect to loopback by another name": lambda: moved("http://localhost:1/"),
    "not modified": lambda: b"HTTP/1.1 304 Not Modified\r\n\r\n",
    "a choice": lambda: reply("", 300),
    **{f"status {status}": lambda status=status: reply("no", status) for status in (400, 401, 403, 404, 405, 418, 451)},  # type: ignore[misc]
}
"""What no try can cure."""

WHOLE: dict[str, Callable[[], Reply]] = {
    "by length": lambda: reply(RECORDS),
    "in chunks": lambda: CHUNKED + b"\r\n" + chunks(RECORDS),
    "in tiny chunks": lambda: CHUNKED + b"\r\n" + chunks(RECORDS, 1),
    "in chunks with extensions and trailers": lambda: (
        CHUNKED + b"\r\n" + chunks(RECORDS).replace(b"1f4\r\n", b"1f4;a=b\r\n")[:-2] + b"x-after: all\r\n\r\n"
    ),
    "ended by close": lambda: closed(ENDED_BY_CLOSE + b"\r\n" + RECORDS),
    "gzip": lambda: packed(PACKED),
    "gzip in capitals": lambda: packed(PACKED, "GZIP"),
    "gzip in chunks": lambda: CHUNKED + b"content-encoding: gzip\r\n\r\n" + chunks(PACKED, 7),
    "gzip in members": lambda: packed(gzip.compress(RECORDS[:50]) + gzip.compress(RECORDS[50:])),
    "deflate": lambda: packed(DEFLATED, "deflate"),
    "deflate without a header": lambda: packed(DEFLATED[2:-4], "deflate"),
    "after a promise": lambda: b"HTTP/1.1 100 Continue\r\n\r\n" + reply(RECORDS),
    "byte by byte": lambda: (part for part in slowly(reply(RECORDS[:-2] + b"}"), 0)),
}
"""What is unusual and right."""

STORMS: dict[str, Callable[[], str]] = {
    "seconds": lambda: "1",
    "a fraction": lambda: "0.2",
    "zero": lambda: "0",
    "a date": lambda: date(1),
    "a date that is over": lambda: date(-3600),
    "an old form of date": lambda: datetime.now(UTC).strftime("%A, %d-%b-%y %H:%M:%S GMT"),
    "a negative number": lambda: "-30",
    "words": lambda: "in a moment",
    "not a number": lambda: "nan",
    "nothing": lambda: "",
    "two numbers": lambda: "1, 2",
}
"""Forms of Retry-After that are waited for, or else replaced by a wait of our own."""

ENDLESS: dict[str, Callable[[], Reply]] = {
    "a bomb of 1 GiB": lambda: packed(bomb(2**30)),
    "chunks": lambda: endless(CHUNKED + b"\r\n", b"10000\r\n" + b" " * 65_536 + b"\r\n"),
    "ended by a close that never comes": lambda: endless(ENDED_BY_CLOSE + b"\r\n", b"[1, 2, 3],\n" * 6000),
    "gzip that never ends": lambda: endless(CHUNKED + b"content-encoding: gzip\r\n\r\n", _random_chunk()),
}
"""What would fill any memory."""


def _random_chunk() -> bytes:
    """A stored block of deflate: it unpacks to itself, again and again, once the header is there."""
    import random

    content = random.Random(1).randbytes(32_000)
    member = gzip.compress(content)
    return b"%x\r\n%s\r\n" % (len(member), member)


ALL = {**ENDLESS, **REFUSED, **BROKEN, **WHOLE}


def answer(asked: Asked) -> Reply:
    """By the path, in which %20 stands for a space."""
    from urllib.parse import unquote

    return ALL[unquote(asked.path).strip("/")]()


if __name__ == "__main__":
    with Hostile(answer) as server:
        print(f"http://127.0.0.1:{server.port}", *ALL, sep="\n", flush=True)
        while True:
            time.sleep(60)
