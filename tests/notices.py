"""Notifiers for the tests; Airflow makes them from what a spec says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from airflow.sdk.bases.notifier import BaseNotifier


class Written(BaseNotifier):
    """Adds a line of JSON to a file: the rendered text, and what it was told for."""

    template_fields = ("text",)

    def __init__(self, file: str = "/dev/null", text: str = "") -> None:
        super().__init__()
        self.file, self.text = file, text

    def notify(self, context: Any) -> None:
        """Write the line."""
        told = {"text": self.text, "reason": context.get("reason"), "silent_since": context.get("silent_since")}
        with Path(self.file).open("a") as file:
            file.write(json.dumps(told) + "\n")


class Needing(BaseNotifier):
    """Cannot be made without being told what."""

    def __init__(self, what: str) -> None:
        super().__init__()


class Open(BaseNotifier):
    """Takes anything."""

    def __init__(self, **anything: Any) -> None:
        super().__init__()


class Inherited(Written):
    """Says nothing of what it takes."""


Renamed = Open
