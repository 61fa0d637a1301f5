"""The client against every behaviour of the hostile server: a whole page, or an error of ours in time."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import subprocess
import sys
import time
from typing import Any
from urllib.parse import quote

import aiohttp
import httpx
import pytest

from airflow_datahub.contract import Connection, Run
from airflow_datahub.errors import ConfigurationError, RetryLater, RunError, RunFailed
from airflow_datahub.http.body import Gzip
from airflow_datahub.http.client import Client
from airflow_datahub.http.page import Page, PageReader
from tests.hostile import Asked, Close, Hostile, Reply, reply
from tests.http.hostile_server import (
    ALL,
    BROKEN,
    ENDLESS,
    PACKED,
    RECORDS,
    REFUSED,
    STORMS,
    WHOLE,
    answer,
    packed,
)  # fmt: skip
from tests.world import ROOT

FAST = {"allow_private": True, "retry_delay": 0.01, "timeout": 0.8, "retries": 1}


def page(server: Hostile, path: str, **extra: Any) -> Page:
    given = Connection("api", "http", host="127.0.0.1", port=server.port, extra={**FAST, **extra})
    run = Run(pipeline="p", run_id="r", connections=lambda _: given)

    async def ask() -> Page:
        async with Client("api", run) as client:
            found, _ = await client.get(quote(path), {}, PageReader("data").read)
            return found

    return asyncio.run(ask())


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_whole_is_a_page(name: str) -> None:
    with Hostile(answer) as server:
        assert len(page(server, name).origins) == 100


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_no_page_and_is_asked_for_again(name: str) -> None:
    started = time.monotonic()
    with Hostile(answer) as server, pytest.raises(RunFailed, match="gave up after 2 tries"):
        page(server, name)
    assert len(server.asked) == 2
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_try_can_cure_fails_at_once(name: str) -> None:
    started = time.monotonic()
    with Hostile(answer) as server, pytest.raises(ConfigurationError, match=r"GET http://127\.0\.0\.1"):
        page(server, name, timeout=5)
    assert len(server.asked) == 1
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("script", [reply(RECORDS), packed(PACKED)], ids=["plain", "gzip"])
def test_a_page_that_is_cut_anywhere_is_none(script: bytes) -> None:
    """Every place in the head, and every 50th and the last ones of the body."""
    head = script.index(b"\r\n\r\n") + 4
    cuts = [*range(0, head, 7), *range(head, len(script), 50), len(script) - 1]
    left = iter(cuts)

    def cut(_: Asked) -> Reply:
        return [script[: next(left)], Close]

    with Hostile(cut) as server:
        for _ in cuts:
            with pytest.raises(RunFailed):
                page(server, "events", retries=0)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("form", STORMS)
def test_a_storm_ends_in_a_page(form: str, status: int) -> None:
    storm = iter(range(3))

    def storming(_: Asked) -> Reply:
        return reply("", status, retry_after=STORMS[form]()) if next(storm, None) is not None else reply(RECORDS)

    with Hostile(storming) as server:
        assert len(page(server, "events", retries=3).origins) == 100
    assert len(server.asked) == 4


@pytest.mark.parametrize("wait", ["301", "86400", "9" * 18, "1e10", "Thu, 31 Dec 2099 23:59:59 GMT"])
def test_a_wait_that_is_too_long_is_handed_on(wait: str) -> None:
    with Hostile(lambda _: reply("", 429, retry_after=wait)) as server, pytest.raises(RetryLater) as caught:
        page(server, "events")
    assert len(server.asked) == 1
    assert 300 < caught.value.delay <= 86_400


# --- memory


ASK = r"""
import asyncio, json, re, sys, time
from pathlib import Path
from airflow_datahub.contract import Connection, Run
from airflow_datahub.http.client import Client
from airflow_datahub.http.page import PageReader

given = Connection("api", "http", host="127.0.0.1", port=int(sys.argv[1]), extra={"allow_private": True, "retries": 0})
run = Run(pipeline="p", run_id="r", connections=lambda _: given)

async def ask():
    async with Client("api", run) as client:
        await client.get(sys.argv[2], {}, PageReader("data").read)

started = time.process_time()
try:
    asyncio.run(ask())
except Exception as error:
    said = f"{type(error).__name__} {error}"
seconds = time.process_time() - started
peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]  # maxrss would be the parent's
print(json.dumps([said, seconds, int(peak)]))
"""
ENDS = {
    **dict.fromkeys(ENDLESS, "ConfigurationError .* smaller pages"),
    **dict.fromkeys(
        ("headers without end", "a header without end", "a status line without end", "trailers without end"),
        "RunFailed",
    ),
    "gzip members without end": "ConfigurationError .* gzip members",
    "a bomb in a bomb": "ConfigurationError .* packed with",
}  # fmt: skip


@pytest.mark.parametrize("name", ENDS)
def test_what_never_ends_is_refused_in_two_seconds_and_150_mb(name: str) -> None:
    ready = ALL[name]() if "bomb" in name else None  # packing it takes longer than all the rest
    with Hostile(lambda asked: ready or answer(asked)) as server:
        done = subprocess.run(
            [sys.executable, "-c", ASK, str(server.port), quote(name)],
            capture_output=True, text=True, timeout=60, cwd=ROOT,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said, seconds, kilobytes = json.loads(done.stdout)
    assert re.match(ENDS[name], said), said
    assert seconds < 2, said
    assert kilobytes < 150_000


# --- broken twins


class Trusting(Gzip):
    """As HTTP libraries read: what was unpacked until the end of the bytes is the body."""

    def prove_whole(self) -> None:
        pass


def test_libraries_take_half_a_gzip_body_for_a_whole_one() -> None:
    half = gzip.compress(b"[" + b"1, " * 5000 + b"2]")[:-12]
    with Hostile(lambda _: reply(half, content_encoding="gzip")) as server:
        address = f"http://127.0.0.1:{server.port}/"
        assert httpx.get(address, trust_env=False).content.startswith(b"[1, 1")

        async def with_aiohttp() -> bytes:
            async with aiohttp.ClientSession() as session, session.get(address) as response:
                return await response.read()

        assert asyncio.run(with_aiohttp()).startswith(b"[1, 1")
        with pytest.raises(RunFailed, match="gzip body ends in the middle"):
            page(server, "events")


def test_a_twin_that_trusts_takes_a_page_that_was_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of lines, say, has no closing bracket that would tell."""
    cut = packed(gzip.compress(b"1\n2\n3\n")[:-11])
    given = {**FAST, "retries": 0}

    async def ask(port: int) -> bytes:
        connection = Connection("api", "http", host="127.0.0.1", port=port, extra=given)
        run = Run(pipeline="p", run_id="r", connections=lambda _: connection)
        async with Client("api", run) as client:
            return (await client.get("lines", {}, lambda found: bytes(found.body)))[0]

    with Hostile(lambda _: cut) as server:
        with pytest.raises(RunError, match="ends in the middle"):
            asyncio.run(ask(server.port))
        monkeypatch.setattr("airflow_datahub.http.body.Gzip", Trusting)
        assert asyncio.run(ask(server.port)) == b"1\n2\n"  # a line is lost
