"""A lock that Redis keeps for a time, which its holder renews while it lives."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from airflow_datahub.contract import Connection
from airflow_datahub.errors import RunFailed
from airflow_datahub.locks.lock import Keeper, Lost, Wanted
from airflow_datahub.redis_connection import client_of

_RENEW = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('PEXPIRE', KEYS[1], ARGV[2]) or 0"
_FREE = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0"


class RedisLock(Keeper):
    """A key that holds the token of its holder, and who that is."""

    def __init__(self, wanted: Wanted, connection: Connection):
        """Raises ConfigurationError where the connection cannot be used."""
        from redis import RedisError

        self.place = f"in the Redis of connection {connection.id!r}"
        self._key = f"airflow_datahub:lock:{wanted.name}"
        self._value = f"{uuid.uuid4().hex} {wanted.holder}"
        self._ttl = wanted.ttl
        self._client, self._error = client_of(connection), RedisError
        self._ended = threading.Event()
        self._until = 0.0
        """By our clock: until then nobody else can have it."""

    def take(self) -> bool:
        asked = time.monotonic()
        taken = self._ask(lambda: self._client.set(self._key, self._value, nx=True, px=self._milliseconds))
        if taken:
            self._until = asked + self._ttl
            threading.Thread(target=self._keep, daemon=True).start()
        return bool(taken)

    def holder(self) -> str:
        return str(self._ask(lambda: self._client.get(self._key)) or "").partition(" ")[2]

    def check(self) -> None:
        self._renew()
        if time.monotonic() >= self._until:
            raise Lost(f"it could not be renewed for {self._ttl:g} s")

    def close(self) -> None:
        self._ended.set()
        try:
            if self._until:
                self._client.eval(_FREE, 1, self._key, self._value)
            self._client.close()
        except self._error:
            pass  # it ends by itself

    @property
    def _milliseconds(self) -> int:
        return int(self._ttl * 1000)

    def _keep(self) -> None:
        while not self._ended.wait(self._ttl / 3):
            try:
                self._renew()
            except Lost:
                return

    def _renew(self) -> None:
        asked = time.monotonic()
        try:
            renewed = self._client.eval(_RENEW, 1, self._key, self._value, self._milliseconds)
        except self._error:
            return  # it is still ours until its time is up
        if not renewed:
            self._until = 0.0
            raise Lost("Redis has given it to another, or has lost it")
        self._until = asked + self._ttl

    def _ask(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except self._error as error:
            raise RunFailed(f"the lock {self.place}: {str(error)[:300]}") from error
