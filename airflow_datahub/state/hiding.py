"""Rejects as they may be shown: without the values that a spec's `rejects.mask` names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from airflow_datahub.errors import RejectRecord
from airflow_datahub.paths import MISSING, getter, looked_into, parse, setter
from airflow_datahub.state.rows import RejectRow

HIDDEN = "***"


def hidden(row: RejectRow) -> RejectRow:
    """The reject with `***` for what its mask names, also in the reason, which may quote it.

    A text that the source could not read has no fields: it is hidden whole, with its reason."""
    if not row.mask:
        return row
    if row.record is not None and not isinstance(row.record, dict):
        return replace(row, record=HIDDEN, reason=HIDDEN)
    record = dict(row.record or {})
    values = [value for path in row.mask if (value := getter(path)(record)) is not MISSING and value is not None]
    for path in row.mask:
        _hide(record, path)
    reason = HIDDEN if _is_about(row) else _without(row.reason, values)
    return replace(row, record=record if row.record is not None else None, reason=reason)


def filled(record: Any, row: RejectRow) -> Any:
    """The record as somebody has changed it who was shown the hidden one: what is still `***` is as it was."""
    if not isinstance(record, dict) or not isinstance(row.record, dict):
        return record
    for path in row.mask:
        if getter(path)(record) == HIDDEN and (value := getter(path)(row.record)) is not MISSING:
            setter(path)(record, value)
    return record


def _hide(record: dict[str, Any], path: str) -> None:
    """A list or a text in the way of the path means that nothing is there."""
    if getter(path)(record) in (MISSING, None):
        return
    try:
        setter(path)(record, HIDDEN)
    except RejectRecord:
        return


def _is_about(row: RejectRow) -> bool:
    """Whether the reason speaks of a masked field, or of one in it or around it."""
    if row.field is None:
        return False
    try:
        field = parse(row.field)
    except ValueError:
        return False
    return any(parse(path) == field or looked_into(field, path) or looked_into(parse(path), row.field)
               for path in row.mask)  # fmt: skip


def _without(text: str, values: list[Any]) -> str:
    forms = sorted({form for value in values for form in _forms(value)}, key=len, reverse=True)
    for form in forms:
        text = text.replace(form, HIDDEN)
    return text


def _forms(value: Any) -> Iterator[str]:
    """How a message may quote a value: its text, its parts, cut as messages cut; single letters would hide too much."""
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _forms(part)
    for form in (str(value), json.dumps(value, default=str), json.dumps(value, default=str)[1:-1]):
        yield from (each for each in (form, form[:200], form[:80], form[:40]) if len(each) > 2)
