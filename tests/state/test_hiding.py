"""What `rejects.mask` names is shown nowhere: not in the record, not in the reason that quotes it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_datahub.state import RejectRow
from airflow_datahub.state.hiding import hidden


def row(record: Any, reason: str, field: str | None = None, mask: tuple[str, ...] = ("user.email",)) -> RejectRow:
    """A reject of that record."""
    return RejectRow(
        1, "events", "a>b", "", 1, "me", 0, "open", "run-1", "tidy", "to_number", field, reason, "abc", False,
        datetime(2026, 1, 1, tzinfo=UTC), record, mask=mask,
    )  # fmt: skip


def test_without_a_mask_a_reject_is_shown_whole() -> None:
    given = row({"user": {"email": "a@b.c"}}, "bad", mask=())
    assert hidden(given) is given


def test_a_masked_value_is_hidden_in_record_and_reason_and_kept_in_the_store() -> None:
    record = {"user": {"email": "ann@example.com", "name": "Ann"}, "id": 7}
    shown = hidden(row(record, "id: 'ann@example.com' stands where a number should"))
    assert shown.record == {"user": {"email": "***", "name": "Ann"}, "id": 7}
    assert shown.reason == "id: '***' stands where a number should"
    assert record["user"] == {"email": "ann@example.com", "name": "Ann"}, "the original is not touched"


@pytest.mark.parametrize("field", ["user.email", "user", "user.email.local"])
def test_a_reason_about_a_masked_field_is_hidden_whole(field: str) -> None:
    assert hidden(row({"user": {"email": {"local": 1}}}, "1 is odd", field)).reason == "***"


@pytest.mark.parametrize("reason", ["x: 'Ünïcode…' is odd", 'x: "a\\nb" is odd', "x: 123456 is odd"])
def test_values_are_found_as_messages_quote_them(reason: str) -> None:
    shown = hidden(row({"user": {"email": ["Ünïcode…", "a\nb", 123456]}}, reason)).reason
    assert shown.replace('"', "'").replace("'", "") == "x: *** is odd"


@pytest.mark.parametrize("record", [{"user": [1]}, {"user": "text"}, {"user": {}}, {"user": {"email": None}}, {}])
def test_a_path_that_leads_nowhere_hides_nothing(record: Any) -> None:
    assert hidden(row(record, "bad")).record == record


def test_a_text_that_could_not_be_read_is_hidden_whole() -> None:
    shown = hidden(row('{"user": {"email": "ann@exam', "line 1: cut short near 'ann@exam'"))
    assert (shown.record, shown.reason) == ("***", "***")


def test_a_record_that_is_not_kept_stays_so() -> None:
    shown = hidden(row(None, "too large"))
    assert (shown.record, shown.reason) == (None, "too large")
