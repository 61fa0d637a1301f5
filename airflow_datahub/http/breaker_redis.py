"""A circuit breaker whose state all processes share, in the Redis that the option `redis_conn_id` names (R17).

Redis decides while it answers, by its own clock; without it each process goes by the state of its own.
"""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_datahub.contract import Log, Run
from airflow_datahub.errors import ConfigurationError
from airflow_datahub.http.breaker import LOOK_AGAIN, Breaker, Fuse
from airflow_datahub.http.target import Target
from airflow_datahub.redis_connection import CALL, CONNECT, client_of

if TYPE_CHECKING:
    from redis import Redis

PREFIX = "airflow_datahub:breaker:"
LONGEST = CONNECT + CALL
"""Seconds that a request is held up at most where Redis does not answer, once until it is taken for lost."""
REST = 10.0
"""Seconds for which a Redis that was lost is left alone."""
LOOK_EVERY = 1.0
"""Seconds that a closed circuit is taken for closed without asking."""
KEPT = 3600.0
"""Seconds that a state nobody touches is kept beyond the time that a circuit stays open."""
OVERDUE = 5.0
"""Seconds beyond its own limit after which a trial no longer counts: its process was killed."""

SCRIPT = """
local key, verb, token = KEYS[1], ARGV[1], 'trial:' .. ARGV[2]
local limit, seconds, trials, wanted = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local lease, kept = tonumber(ARGV[7]), tonumber(ARGV[8])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local opened = tonumber(redis.call('HGET', key, 'opened') or nil)

local function under_way()
  local count, fields = 0, redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, 6) == 'trial:' then
      if tonumber(fields[i + 1]) > now then count = count + 1 else redis.call('HDEL', key, fields[i]) end
    end
  end
  return count
end

if verb == 'failed' then
  local failures = redis.call('HINCRBY', key, 'failures', 1)
  if opened or failures >= limit then
    redis.call('DEL', key)
    redis.call('HSET', key, 'failures', failures, 'opened', string.format('%.0f', now))
    opened = now
  end
  redis.call('PEXPIRE', key, kept)
elseif verb == 'succeeded' then
  if not opened then
    redis.call('DEL', key)
  elseif redis.call('HDEL', key, token) == 1 and redis.call('HINCRBY', key, 'successes', 1) >= wanted then
    redis.call('DEL', key)
    opened = nil
  end
elseif verb == 'neither' then
  redis.call('HDEL', key, token)
end

if not opened then return {'closed', tonumber(redis.call('HGET', key, 'failures') or 0)} end
local left = math.min(opened + seconds - now, seconds)
if left > 0 then return {'open', left} end
if verb ~= 'admit' or under_way() >= trials then return {'half open', 0} end
redis.call('HSET', key, token, string.format('%.0f', now + lease))
redis.call('PEXPIRE', key, kept)
return {'trial', 0}
"""
"""One step of a breaker, which no other comes between; times in milliseconds. A circuit that is closed and well has no
key. A trial has a field `trial:<token>` that says until when it counts."""


class Away(Exception):
    """Redis does not answer."""


class Link:
    """Calls to Redis, one after the other on a thread that ends with the last of them: neither a slow server nor a
    look-up that hangs holds up the event loop, a stop or the end of the process."""

    def __init__(self, client: Redis, connection_id: str, log: Log):
        self.client = client
        self._connection, self._log = connection_id, log
        self._lock = threading.Lock()
        self._calls: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._working = False
        self._met = False
        self._warned = False
        self._again: float | None = None

    @property
    def busy(self) -> bool:
        """Whether calls are under way."""
        return self._working

    def up(self) -> bool:
        """Whether Redis may be asked. One that was lost is looked for now and then, and nobody waits for that."""
        with self._lock:
            if self._again is None:
                return True
            due = time.monotonic() >= self._again and not self._working
        if due:
            self.send(self.client.ping)
        return False

    def send(self, call: Callable[[], Any]) -> Future[Any]:
        """Have it called; the future ends with Away, or ConfigurationError at a first call that is refused."""
        future: Future[Any] = Future()
        with self._lock:
            self._calls.append((call, future))
            start, self._working = not self._working, True
        if start:
            threading.Thread(target=self._work, daemon=True, name="redis").start()
        return future

    async def ask(self, call: Callable[[], Any], longest: float = LONGEST) -> Any:
        """What the call returns. Raises what `send` says."""
        future = self.send(call)
        try:
            async with asyncio.timeout(longest):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            self._lose(f"no answer within {longest:g} s")
            raise Away from None

    def _work(self) -> None:
        while True:
            with self._lock:
                self._working = bool(self._calls)
                if not self._calls:
                    return
                call, future = self._calls.popleft()
            if future.set_running_or_notify_cancel():
                self._run(call, future)

    def _run(self, call: Callable[[], Any], future: Future[Any]) -> None:
        try:
            answer = call()
        except Exception as error:  # whatever it is, the state is an aid: no request fails for it
            future.set_exception(self._refusal(error) or Away())
            return
        self._found()
        future.set_result(answer)

    def _refusal(self, error: Exception) -> ConfigurationError | None:
        """The error for a person, where the first thing that Redis says is that it does not let us in."""
        from redis.exceptions import AuthenticationError, NoPermissionError

        first = not self._met and self._again is None
        if isinstance(error, AuthenticationError | NoPermissionError) and first:
            return ConfigurationError(
                f"connection {self._connection!r}: Redis says {str(error)[:200]!r}; check its login and password, and "
                f"that they may run scripts on keys {PREFIX}*"
            )
        self._lose(str(error)[:200])
        return None

    def _lose(self, reason: str) -> None:
        with self._lock:
            self._again = time.monotonic() + REST
            dropped, self._calls = self._calls, deque()
            warn, self._warned = not self._warned, True
        for _, future in dropped:
            if future.set_running_or_notify_cancel():
                future.set_exception(Away())
        if warn:
            self._log.warning(
                "redis_lost", connection=self._connection, cause=reason,
                then="circuit breakers go by what this process sees, until Redis answers",
            )  # fmt: skip

    def _found(self) -> None:
        with self._lock:
            back, self._again, self._met = self._again is not None, None, True
        if back:
            self._log.info("redis_found_again", connection=self._connection)


class SharedBreaker(Breaker):
    """A breaker that goes by Redis. What it tells Redis nobody waits for; where the circuit is closed, what Redis tells
    holds for a second."""

    def __init__(self, fuse: Fuse, link: Link, name: str, lease: float):
        """`name` is the same for all that ask the same API; `lease`: seconds that a trial may take."""
        super().__init__(fuse)
        self._link = link
        self._script = link.client.register_script(SCRIPT)
        self._keys = [PREFIX + name]
        times = [round(1000 * seconds) for seconds in (fuse.seconds, lease, fuse.seconds + KEPT)]
        self._numbers = [fuse.failures, times[0], fuse.trials, fuse.successes, *times[1:]]
        self._view = threading.Lock()
        self._held: list[str] = []
        self._closed = False
        self._failing = False
        self._seen = 0.0

    async def turn(self) -> None:
        while wait := await self._wait():  # noqa: ASYNC110 - other processes share the breaker
            await asyncio.sleep(wait)

    def succeeded(self) -> None:
        super().succeeded()
        token = self._take()
        if token or self._failing:
            self._tell("succeeded", token)

    def failed(self) -> None:
        super().failed()
        token = self._take()
        with self._view:
            self._closed, self._failing = False, True
        self._tell("failed", token)

    def neither(self) -> None:
        super().neither()
        if token := self._take():
            self._tell("neither", token)

    async def settle(self) -> None:
        if self._link.busy:
            try:
                await self._link.ask(self._link.client.ping, CALL)
            except (Away, ConfigurationError):
                return

    async def _wait(self) -> float:
        """0 where a request may go out, else the seconds after which to ask again."""
        if not self._link.up():
            return self.admit()
        if self._lately_closed():
            return 0.0
        token = uuid.uuid4().hex
        try:
            state, number = await self._link.ask(partial(self._step, "admit", token))
        except Away:
            return self.admit()
        except asyncio.CancelledError:
            self._tell("neither", token)  # it may become a trial all the same
            raise
        if state == "open":
            raise self._open(number / 1000)
        if state == "closed":
            self.reset()  # what this process saw may be long past
        if state == "trial":
            with self._view:
                self._held.append(token)
        return LOOK_AGAIN if state == "half open" else 0.0

    def _lately_closed(self) -> bool:
        """One request looks again once it is time; those beside it go by what was seen before."""
        with self._view:
            now = time.monotonic()
            lately = self._closed and now - self._seen < LOOK_EVERY
            self._seen = now if self._closed and not lately else self._seen
            return lately

    def _take(self) -> str:
        """The token of a trial that this process has under way, if any."""
        with self._view:
            return self._held.pop() if self._held else ""

    def _tell(self, verb: str, token: str) -> None:
        if self._link.up():
            self._link.send(partial(self._step, verb, token))

    def _step(self, verb: str, token: str) -> tuple[str, int]:
        """Ask Redis; only on the link's thread."""
        answer: Any = self._script(keys=self._keys, args=[verb, token, *self._numbers])
        state, number = str(answer[0]), int(answer[1])
        with self._view:
            self._closed, self._seen = state == "closed", time.monotonic()
            self._failing = self._closed and number > 0
        return state, number


def shared(target: Target, connection_id: str, run: Run) -> SharedBreaker:
    """The breaker of an API; all of a run share one link to Redis. Raises ConfigurationError for the connection."""
    link = run.kept.get("breaker:redis")
    if link is None:
        client = client_of(run.connections(connection_id))
        link = run.kept.setdefault("breaker:redis", Link(client, connection_id, run.log))
    name = f"{target.connection}@{target.host}:{target.port}"
    return SharedBreaker(target.fuse, link, name, target.policy.total + OVERDUE)
