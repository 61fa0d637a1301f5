"""Who acts, for the audit."""

from __future__ import annotations

import getpass
import os
import platform


def actor() -> str:
    """The user and the machine, as `ada@laptop`."""
    try:
        return f"{getpass.getuser()}@{platform.node()}"
    except (KeyError, OSError):  # a container may run under a number that has no name
        return f"{os.getuid()}@{platform.node()}"
