"""The reference: about the least that a Python program can do to bring a paged API into PostgreSQL.

Written for one API and one table: a raw socket that asks for the next page before it decodes this one, a struct with
the nested payload left as bytes, and two connections: one copies batch k+1 into one of three unlogged stages while the
other upserts batch k and moves the checkpoint in one transaction. It lacks what a product needs (limits, retries,
rejects, fencing, a check that a stage survived a crash), so it shows where the limit is.

    python -m bench.reference http://127.0.0.1:PORT KEY postgresql://…

Prints `seconds rows`; the clock starts after the imports and the connections.
"""

from __future__ import annotations

import queue
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

import msgspec
import psycopg

BATCH = 20_000
COLUMNS = "id, type, ts, user_id, session_id, payload"
SET = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS.split(", ")[1:])
TABLE = """create table events (id text collate "C" primary key, type text, ts timestamptz, user_id text,
  session_id text, payload jsonb);
create table checkpoint (pipeline text primary key, cursor text, rows bigint)"""
CHECKPOINT = """insert into checkpoint values ('p', %s, %s) on conflict (pipeline)
  do update set cursor = excluded.cursor, rows = checkpoint.rows + excluded.rows"""
DAY = 86_400
CLOCK = [f" {s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}" for s in range(DAY)]
ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class Event(msgspec.Struct, gc=False):
    id: str
    type: str
    timestamp: int | float | str
    userId: str
    sessionId: str
    properties: msgspec.Raw


class Page(msgspec.Struct):
    data: list[Event]
    hasMore: bool
    nextCursor: str | None


class Http:
    """Keep-alive GET over a plain socket."""

    def __init__(self, base: str, key: str):
        url = urlsplit(base)
        self.socket = socket.create_connection((url.hostname, url.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.tail = f" HTTP/1.1\r\nHost: {url.netloc}\r\nX-API-Key: {key}\r\n\r\n".encode()

    def send(self, cursor: str | None) -> None:
        target = "/api/v1/events?limit=1000" + (f"&cursor={cursor}" if cursor else "")
        self.socket.sendall(b"GET " + target.encode() + self.tail)

    def receive(self) -> bytearray:
        head = b""
        while (end := head.find(b"\r\n\r\n")) < 0:
            head += self.socket.recv(65536)
        length = int(re.search(rb"(?i)content-length: (\d+)", head[:end])[1])
        body = bytearray(length)
        view, got = memoryview(body), len(head) - end - 4
        view[:got] = head[end + 4 :]
        while got < length:
            got += self.socket.recv_into(view[got:])
        return body


NEXT = re.compile(rb'"nextCursor":\s*"([^"]+)"\s*\}\s*$')


def pages(base: str, key: str) -> Iterator[tuple[bytearray, str | None]]:
    http = Http(base, key)
    http.send(None)
    while True:
        body = http.receive()
        found = NEXT.search(bytes(body[-300:]))
        cursor = found[1].decode() if found else None
        if cursor:
            http.send(cursor)
        yield body, cursor
        if not cursor:
            return


def moment(value: float | str, days: dict[int, str]) -> str:
    if value.__class__ is str:
        datetime.fromisoformat(value)
        return value
    if value < 100_000_000_000:
        value *= 1000
    seconds, milliseconds = divmod(int(value), 1000)
    day, second = divmod(seconds, DAY)
    text = days.get(day)
    if text is None:
        text = days[day] = datetime.fromtimestamp(day * DAY, UTC).strftime("%Y-%m-%d")
    return f"{text}{CLOCK[second]}.{milliseconds:03d}+00"


def block(rows: list[tuple]) -> bytes:
    """COPY text, joined without escaping and then checked by counting its separators."""
    out: list[bytes] = []
    for row in rows:
        out += [("\t".join(row[:5]) + "\t").encode(), row[5], b"\n"]
    data = b"".join(out)
    if data.count(b"\n") == len(rows) and data.count(b"\t") == 5 * len(rows):
        return data.replace(b"\\", b"\\\\")
    lines = ["\t".join(text.translate(ESCAPES) for text in (*row[:5], bytes(row[5]).decode())) for row in rows]
    return ("\n".join(lines) + "\n").encode()


def batches(base: str, key: str) -> Iterator[tuple[bytes, str | None, int]]:
    rows: dict[str, tuple] = {}
    days: dict[int, str] = {}
    decoder = msgspec.json.Decoder(Page)
    count = 0
    for body, cursor in pages(base, key):
        for e in decoder.decode(body).data:
            rows[e.id] = (e.id, e.type, moment(e.timestamp, days), e.userId, e.sessionId, e.properties)
            count += 1
        if count >= BATCH or not cursor:
            yield block(list(rows.values())), cursor, count
            rows, count = {}, 0


def write(items: Iterator[tuple[bytes, str | None, int]], dsn: str) -> None:
    copier, upserter = psycopg.connect(dsn), psycopg.connect(dsn)
    full: queue.Queue = queue.Queue()
    free: queue.Queue = queue.Queue()
    for k in range(3):
        copier.execute(f"create unlogged table stage{k} (like events) with (autovacuum_enabled = off)")
        free.put(k)
    copier.commit()

    def upsert() -> None:
        while (item := full.get()) is not None:
            k, cursor, count = item
            upserter.execute(
                f"insert into events ({COLUMNS}) select {COLUMNS} from stage{k} on conflict (id) do update set {SET}"
            )
            upserter.execute(CHECKPOINT, (cursor, count))
            upserter.commit()
            free.put(k)

    thread = threading.Thread(target=upsert)
    thread.start()
    for data, cursor, count in items:
        k = free.get()
        copier.execute(f"truncate stage{k}")
        with copier.cursor().copy(f"copy stage{k} ({COLUMNS}) from stdin") as copy:
            for i in range(0, len(data), 1 << 18):
                copy.write(data[i : i + (1 << 18)])
        copier.commit()
        full.put((k, cursor, count))
    full.put(None)
    thread.join()


def main() -> None:
    base, key, dsn = sys.argv[1:]
    with psycopg.connect(dsn) as connection:
        connection.execute(TABLE)
    started = time.perf_counter()
    prepared: queue.Queue = queue.Queue(2)
    writer = threading.Thread(target=write, args=(iter(prepared.get, None), dsn))
    writer.start()
    for item in batches(base, key):
        prepared.put(item)
    prepared.put(None)
    writer.join()
    seconds = time.perf_counter() - started
    with psycopg.connect(dsn) as connection:
        print(f"{seconds:.4f} {connection.execute('select count(*) from events').fetchone()[0]}")


if __name__ == "__main__":
    main()
