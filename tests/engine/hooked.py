"""Hooks as somebody writes them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from airflow_datahub.errors import RejectRecord

Record = dict[str, Any]


def note(event: dict[str, Any]) -> None:
    """Write down what it is told."""
    with Path(os.environ["HOOKED"]).open("a") as file:
        file.write(json.dumps(event) + "\n")


def mark(records: list[Record], event: dict[str, Any]) -> list[Record]:
    """Leave a trace in each record."""
    return [{**each, "trace": f"{each.get('trace', '')} {event['event']}:{event['step']}"} for each in records]


def choose(records: list[Record], event: dict[str, Any]) -> list[Any]:
    """One of them ends here, one is bad."""
    return [
        None if each["id"] == 2 else RejectRecord("not today", "id") if each["id"] == 3 else each for each in records
    ]


def see(records: list[Record], event: dict[str, Any]) -> None:
    """Write down what came, spoil it, give nothing back."""
    note({**event, "ids": [each["id"] for each in records]})
    records[0].clear() if event["event"] == "after" else None


def few(records: list[Record], event: dict[str, Any]) -> list[Record]:
    """Wrong."""
    return records[1:]


def words(records: list[Record], event: dict[str, Any]) -> list[str]:
    """Wrong."""
    return ["a"] * len(records)


def fails(*arguments: Any) -> None:
    """Broken."""
    raise KeyError("oops")
