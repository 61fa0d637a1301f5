"""Bounded queues between the threads of a stage, and the limit on what is in memory at once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Closed(Exception):
    """The other side of a channel is gone: nothing that is put there arrives any more."""


class Channel(Generic[Item]):
    """A queue of at most `size` items with two ways to end: the producer finishes, or anyone closes it at once.

    With size 0 an item is handed over: `put` returns when the consumer asks for it.
    """

    def __init__(self, size: int):
        self._items: deque[Item] = deque()
        self._size = size
        self._change = threading.Condition()
        self._finished = self._closed = False
        self._asked = 0

    def put(self, item: Item, *, wait: bool = True) -> bool:
        """Wait for a place and put the item there; Closed if the channel is closed. False: there is none, and it was
        not to be waited for."""
        with self._change:
            if not self._change.wait_for(self._has_place, None if wait else 0):
                return False
            if self._closed:
                raise Closed
            self._items.append(item)
            self._change.notify_all()
        return True

    def _has_place(self) -> bool:
        return self._closed or len(self._items) < self._size + self._asked

    def finish(self) -> None:
        """No more items come; those that are there are still taken out."""
        with self._change:
            self._finished = True
            self._change.notify_all()

    def close(self) -> None:
        """End both sides at once; what is there is dropped."""
        with self._change:
            self._closed = True
            self._items.clear()
            self._change.notify_all()

    def __iter__(self) -> Iterator[Item]:
        """Take items out until the producer has finished; Closed if the channel is closed."""
        while True:
            with self._change:
                self._asked = 1
                self._change.notify_all()
                self._change.wait_for(lambda: self._closed or self._finished or self._items)
                self._asked = 0
                if self._closed:
                    raise Closed
                if not self._items:
                    return
                item = self._items.popleft()
                self._change.notify_all()
            yield item


class Room:
    """A limit on the bytes of what waits; one item larger than all of it goes through alone."""

    def __init__(self, limit: int):
        self._limit = limit
        self._used = 0
        self._closed = False
        self._change = threading.Condition()

    def take(self, size: int, *, wait: bool = True) -> bool:
        """Wait until `size` bytes fit; Closed if the stage ends meanwhile. False: they do not, and it was not to be
        waited for."""

        def fits() -> bool:
            return self._closed or not self._used or self._used + size <= self._limit

        with self._change:
            if not self._change.wait_for(fits, None if wait else 0):
                return False
            if self._closed:
                raise Closed
            self._used += size
        return True

    def give_back(self, size: int) -> None:
        """The bytes wait no more."""
        with self._change:
            self._used -= size
            self._change.notify_all()

    def close(self) -> None:
        """Let nobody wait any more."""
        with self._change:
            self._closed = True
            self._change.notify_all()
