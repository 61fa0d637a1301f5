"""Ask with a client of one connection, for the tests."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from airflow_datahub.contract import Connection, Log, Run, Silence
from airflow_datahub.http.client import Answer, Client

SECRET = "s3cr3t/key+1"
FAST = {"allow_private": True, "retry_delay": 0.01, "timeout": 2, "retries": 1}


def connection(port: int, host: str = "127.0.0.1", **changes: Any) -> Connection:
    """Login, password, or else fields of the extra."""
    given = {name: changes.pop(name) for name in ("login", "password") if name in changes}
    return Connection("api", "http", host=host, port=port, extra={**FAST, **changes}, **given)


def run_of(given: Connection, stopping: threading.Event | None = None, log: Log | None = None) -> Run:
    event = stopping or threading.Event()
    return Run(pipeline="p", run_id="r", connections=lambda _: given, stopping=event, log=log or Silence())


def ask(run: Run, *addresses: str, at_once: bool = False, **options: Any) -> list[Answer]:
    """One client, one address after the other, or all at once."""

    async def work() -> list[Answer]:
        async with Client("api", run, **options) as client:
            works = [client.get(address, {}, lambda answer: answer) for address in addresses]
            if at_once:
                return [answer for answer, _ in await asyncio.gather(*works)]
            return [(await each)[0] for each in works]

    return asyncio.run(work())
