"""What a lock is, wherever it is kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Backend = Literal["redis", "postgres", "file", "memory"]

Check = Callable[[], None]
"""Returns while a lock is held. Raises RetryLater once it is not, or that cannot be told any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The lock that is wanted, and by whom."""

    name: str
    """What it stands for; who names the same thing waits for the other."""
    backend: Backend | None = None
    """Where it is kept; None: where processes share something anyway."""
    connection: str | None = None
    """Id of the connection to the Redis or PostgreSQL that keeps it; None: the one that is shared anyway."""
    ttl: float = 30.0
    """Seconds after which Redis frees it when its holder has died."""
    wait: float = 5.0
    """Seconds that are waited for it."""
    holder: str
    """Who wants it, for a person."""


class Lost(Exception):
    """The lock is no longer held, or its keeper does not say so."""


class Keeper(ABC):
    """Keeps one lock for one holder."""

    place: str
    """Where, for a person."""

    @abstractmethod
    def take(self) -> bool:
        """Take it if it is free; never waits."""

    @abstractmethod
    def holder(self) -> str:
        """Who has it now, for a person; empty where that is not known."""

    @abstractmethod
    def check(self) -> None:
        """Raises Lost where it is not held any more."""

    @abstractmethod
    def close(self) -> None:
        """Free it if it is held, and give everything back."""
