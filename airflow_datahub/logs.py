"""What is said while records move."""

from __future__ import annotations

from typing import Any, Protocol


class Log(Protocol):
    """An event with fields: `log.info("page_fetched", records=1000)`."""

    def debug(self, event: str, **fields: Any) -> Any: ...
    def info(self, event: str, **fields: Any) -> Any: ...
    def warning(self, event: str, **fields: Any) -> Any: ...
    def error(self, event: str, **fields: Any) -> Any: ...


class Silence:
    """A log that says nothing."""

    def debug(self, event: str, **fields: Any) -> None:
        """Say nothing."""

    info = warning = error = debug
