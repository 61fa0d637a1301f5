from __future__ import annotations

import time
from collections.abc import Callable

import pytest


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """Wait, ten seconds at most, until something is so."""

    def wait(so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        while not so():
            assert time.monotonic() < deadline, "it never became so"
            time.sleep(0.05)

    return wait
