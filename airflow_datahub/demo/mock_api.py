"""A mock of the DataSync events API, with the faults that real ones have; never the slowest part of what it tests.

    python -m airflow_datahub.demo.mock_api --port 8090 --events 100000 --api-key demo-key

    GET /api/v1/events?limit=&cursor=   {"data": [...], "hasMore": true, "nextCursor": "…" | null}
    GET /api/v1/events?limit=&offset=   the same pages by offset; `since=` (ISO 8601 or epoch seconds) begins later,
                                        `until=` ends before
    GET /health   GET /stats   POST /reset

The events need the header `X-API-Key`. Faults come from a seed: the same requests meet the same ones.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from email.utils import formatdate
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from airflow_datahub.demo import supervision
from airflow_datahub.demo.events import generate
from airflow_datahub.demo.serving import Connection, Request, Response
from airflow_datahub.errors import ConfigurationError, RunFailed


@dataclass(kw_only=True)
class Settings:
    """How the API behaves; each is an option of the command line, too."""

    host: str = field(default="127.0.0.1", metadata={"help": "address to serve at; 0.0.0.0: all of the machine"})
    port: int = field(default=0, metadata={"help": "0: any free one"})
    events: int = field(default=100_000, metadata={"help": "how many there are"})
    seed: int = field(default=7, metadata={"help": "of the events and the faults"})
    duplicates: float = field(default=0.02, metadata={"help": "share of events that repeat an earlier one"})
    poison: float = field(default=0.0, metadata={"help": "share of records that no table can take"})
    api_key: str = field(default="demo-key", metadata={"help": "what X-API-Key must say"})
    max_limit: int = field(default=10_000, metadata={"help": "records a page at most"})
    total: bool = field(default=False, metadata={"help": "add the number of all events to each page"})
    latency: float = field(default=0.0, metadata={"help": "seconds before an answer"})
    errors: float = field(default=0.0, metadata={"help": "share of answers that are 500, 502 or 503"})
    rate_limit: int = field(default=0, metadata={"help": "requests a window; 0: no limit"})
    rate_window: float = field(default=60.0, metadata={"help": "seconds of a window"})
    retry_after: str = field(default="seconds", metadata={"help": "seconds or date: the form of Retry-After"})
    cursor_life: float = field(default=0.0, metadata={"help": "seconds until a cursor is gone (410); 0: never"})

    def __post_init__(self) -> None:
        """ConfigurationError for a value that makes no sense."""
        shares = {name: 0 <= getattr(self, name) <= 1 for name in ("duplicates", "poison", "errors")}
        amounts = ("port", "events", "latency", "rate_limit", "cursor_life")
        wrong = {name: "a share from 0 to 1" for name, good in shares.items() if not good}
        wrong |= {name: "0 or more" for name in amounts if not 0 <= getattr(self, name) < math.inf}
        wrong |= {name: "more than 0" for name in ("max_limit", "rate_window") if not getattr(self, name) > 0}
        if self.retry_after not in ("seconds", "date"):
            wrong["retry_after"] = "seconds or date"
        for name, allowed in wrong.items():
            raise ConfigurationError(f"{name} of the mock API is {getattr(self, name)!r}, and must be {allowed}")


CUSTOMERS = "/api/v1/customers/"


class Api:
    """The routes and the faults of one server."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.events = generate(settings.events, settings.seed, settings.duplicates, settings.poison)
        self.reset()

    def reset(self) -> None:
        """Count from zero and meet the faults again from their start."""
        self.requests, self.served = 0, 0
        self.statuses: Counter[int] = Counter()
        self.chance = random.Random(self.settings.seed + 1)
        self.window, self.used = -math.inf, 0

    def answer(self, request: Request) -> Response:
        """The answer to any request."""
        match request.method, request.path:
            case "GET", "/api/v1/events":
                return self.counted(request)
            case "GET", path if path.startswith(CUSTOMERS):
                return self.customer(request)
            case "GET", "/health":
                return Response.json(200, {"status": "ok"})
            case "GET", "/stats":
                return Response.json(200, self.stats())
            case "POST", "/reset":
                self.reset()
                return Response.json(200, {"status": "ok"})
            case _, "/api/v1/events" | "/health" | "/stats" | "/reset":
                return Response.json(405, {"error": f"{request.method} is not allowed here"})
        return Response.json(404, {"error": f"there is no {request.path[:80]}"})

    def stats(self) -> dict[str, Any]:
        """What has been asked of the events so far, and how many there are."""
        return {
            "events": len(self.events), "unique": self.events.unique, "poisonous": self.events.poisonous,
            "requests": self.requests, "served": self.served,
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
        }  # fmt: skip

    def counted(self, request: Request) -> Response:
        """A page of events, counted."""
        response = self.guarded(request)
        self.requests += 1
        self.statuses[response.status] += 1
        return response

    def guarded(self, request: Request) -> Response:
        """A page of events, unless the key, the rate limit or a fault says no."""
        if request.headers.get("x-api-key") != self.settings.api_key:
            return Response.json(401, {"error": "X-API-Key is missing or wrong"})
        limits, wait = self.spend()
        if wait:
            return Response.json(429, {"error": "too many requests"}, {**limits, "Retry-After": self.retry_after(wait)})
        if self.settings.errors and self.chance.random() < self.settings.errors:
            return Response.json(self.chance.choice((500, 502, 503)), {"error": "bad luck"}, limits)
        try:
            return self.page(request.query, limits)
        except (ValueError, OverflowError) as error:
            return Response.json(400, {"error": f"bad limit, offset, cursor, since or until: {error}"[:200]}, limits)

    def customer(self, request: Request) -> Response:
        """One of a thousand customers."""
        if request.headers.get("x-api-key") != self.settings.api_key:
            return Response.json(401, {"error": "X-API-Key is missing or wrong"})
        number = request.path.removeprefix(CUSTOMERS)
        if not (number.isascii() and number.isdigit() and 0 < int(number[:9]) <= 1000):
            return Response.json(404, {"error": f"there is no customer {number[:80]}"})
        return Response.json(200, {"id": int(number), "name": f"Customer {number}"})

    def spend(self) -> tuple[dict[str, str], float]:
        """Take one request out of the window: the headers that say what is left, the seconds to wait (0: none)."""
        if not self.settings.rate_limit:
            return {}, 0
        now = time.monotonic()
        if now >= self.window + self.settings.rate_window:
            self.window, self.used = now, 0
        self.used += 1
        left, wait = self.settings.rate_limit - self.used, self.window + self.settings.rate_window - now
        headers = {
            "X-RateLimit-Limit": str(self.settings.rate_limit),
            "X-RateLimit-Remaining": str(max(left, 0)),
            "X-RateLimit-Reset": str(math.ceil(time.time() + wait)),
        }
        return headers, wait if left < 0 else 0

    def retry_after(self, wait: float) -> str:
        """The header's value; both forms know whole seconds only."""
        seconds = max(1, math.ceil(wait))
        if self.settings.retry_after == "seconds":
            return str(seconds)
        return formatdate(math.ceil(time.time() + wait), usegmt=True)

    def page(self, query: Mapping[str, str], limits: Mapping[str, str]) -> Response:
        """The page that the query asks for; ValueError for what cannot be read."""
        limit = max(1, min(int(query.get("limit", "100")), self.settings.max_limit))
        offset = max(int(query.get("offset", "0")), 0)
        if "since" in query:
            offset += self.events.since(moment(query["since"]))
        if "cursor" in query:
            offset, born = read_cursor(query["cursor"])
            if self.settings.cursor_life and time.time() > born + self.settings.cursor_life:
                return Response.json(410, {"error": "this cursor has expired: begin again"}, limits)
        behind = self.events.since(moment(query["until"])) if "until" in query else len(self.events)
        data, end = self.events.page(offset, max(min(limit, behind - offset), 0))
        more = end < behind
        following = f'"{make_cursor(end, self.birth())}"' if more else "null"
        total = f',"total":{len(self.events)}' if self.settings.total else ""
        rest = f'],"hasMore":{"true" if more else "false"},"nextCursor":{following}{total}}}'
        self.served += max(end - offset, 0)
        return Response(200, (b'{"data":[', data, rest.encode()), limits)

    def birth(self) -> float:
        """The time that cursors carry; none where they live forever, so that equal pages are equal bytes."""
        return time.time() if self.settings.cursor_life else 0


def make_cursor(offset: int, born: float) -> str:
    """An opaque text."""
    return base64.urlsafe_b64encode(f"{offset}:{born}".encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> tuple[int, float]:
    """Offset and time of birth; ValueError for any other text."""
    text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    offset, _, born = text.partition(":")
    if not (offset.isascii() and offset.isdigit()):
        raise ValueError("this is no cursor of mine")
    return int(offset), float(born)


def moment(text: str) -> float:
    """Epoch seconds of an ISO 8601 text (UTC where it names no zone) or of a number."""
    try:
        number = float(text)
    except ValueError:
        parsed = datetime.fromisoformat(text)
        return parsed.timestamp() if parsed.tzinfo else parsed.replace(tzinfo=UTC).timestamp()
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]!r} is no time")
    return number


@dataclass(kw_only=True)
class MockApi(Settings):
    """The API in a process of its own, on the loopback interface; it ends with the `with` block, or with us."""

    log: Path | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """Without a slash at its end; the events are at `/api/v1/events`."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> MockApi:
        """Start it and wait until it serves; RunFailed with what it said when it does not."""
        log = self.log or Path(tempfile.gettempdir(), f"mock-api-{os.getpid()}-{id(self)}.log")
        options = [f"--{name.replace('_', '-')}={value}" for name, value in self.settings().items()]
        self.process = supervision.start(
            [sys.executable, "-m", "airflow_datahub.demo.mock_api", *options],
            log=log, environment=supervision.importable(os.environ), folder=log.parent, grace=2,
            output=subprocess.PIPE,
        )  # fmt: skip
        assert self.process.stdout
        ready = self.process.stdout.readline().decode()
        said = supervision.tail(log)
        if not self.log:
            log.unlink()
        if not ready.startswith("ready "):
            self.stop()
            raise RunFailed(f"the mock API did not start: {said}")
        self.port = int(ready.split()[1].rpartition(":")[2])
        return self

    def settings(self) -> dict[str, Any]:
        """The settings of the server by name."""
        return {item.name: getattr(self, item.name) for item in fields(Settings)}

    def stop(self) -> None:
        """End the server."""
        if self.process:
            supervision.end(self.process)

    def stats(self) -> dict[str, Any]:
        """events, unique, poisonous, requests, served, statuses (count by code)."""
        return self._call("GET", "/stats")

    def reset(self) -> None:
        """Zero the counts, wind the faults back."""
        self._call("POST", "/reset")

    def __enter__(self) -> MockApi:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _call(self, method: str, path: str) -> dict[str, Any]:
        import httpx

        with httpx.Client(trust_env=False, timeout=10 + self.latency) as client:
            answer = client.request(method, self.url + path).raise_for_status()
            return dict(answer.json())


def options(arguments: Sequence[str]) -> Settings:
    """The settings of a command line."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_datahub.demo.mock_api", description="A mock of the DataSync events API."
    )
    for name, default in asdict(Settings()).items():
        kind = truth if isinstance(default, bool) else type(default)
        text = Settings.__dataclass_fields__[name].metadata["help"]
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=default, help=f"{text} (= %(default)s)")
    try:
        return Settings(**vars(parser.parse_args(arguments)))
    except ConfigurationError as error:
        parser.error(str(error))


def truth(text: str) -> bool:
    """`true` or `false`, in any case."""
    if text.lower() not in ("true", "false"):
        raise ValueError(f"{text} is neither true nor false")
    return text.lower() == "true"


async def serve(settings: Settings) -> None:
    """Serve until cancelled; prints `ready http://…` once it answers."""
    api = Api(settings)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(api.answer, settings.latency), settings.host, settings.port, backlog=512
    )
    print(f"ready http://{settings.host}:{server.sockets[0].getsockname()[1]}", flush=True)
    async with server:
        await server.serve_forever()


def main(arguments: Sequence[str]) -> None:
    """Serve as the arguments say, on uvloop where it is installed."""
    settings = options(arguments)
    loop = import_module("asyncio" if find_spec("uvloop") is None else "uvloop")
    try:
        loop.run(serve(settings))
    except KeyboardInterrupt:
        print("stopped", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
