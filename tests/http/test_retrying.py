from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from airflow_datahub.contract import Connection
from airflow_datahub.errors import RetryLater, RunFailed
from airflow_datahub.http.retrying import Patience, Policy, TryAgain, retry_after
from airflow_datahub.http.target import target_of


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "120"}, 120),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "tomorrow"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "9" * 20}, 86_400),
        ({"retry-after": "Sun, 06 Nov 1994 08:50:37 GMT", "date": "Sun, 06 Nov 1994 08:49:37 GMT"}, 60),
        ({"retry-after": "Sunday, 06-Nov-94 08:50:37 GMT", "date": "Sun Nov  6 08:49:37 1994"}, 60),
        ({"retry-after": "Sun, 06 Nov 1994 08:49:37 GMT", "date": "Sun, 06 Nov 1994 08:50:37 GMT"}, 0),
        ({"retry-after": "Sun, 06 Nov 1994 08:49:37 GMT", "date": "garbage"}, 0),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_without_a_date_of_the_server_ours_has_to_do() -> None:
    soon = datetime.now(UTC) + timedelta(seconds=30)
    assert 25 < (retry_after({"retry-after": soon.strftime("%a, %d %b %Y %H:%M:%S GMT")}) or 0) <= 30


def test_the_waits_grow_to_their_limit() -> None:
    patience = Patience(Policy(retries=50))
    waits = [patience.next_wait(TryAgain("x")) for _ in range(50)]
    assert waits[0] <= 1
    assert waits[1] <= 2
    assert 4 < max(waits) <= 8
    with pytest.raises(RunFailed, match="x; gave up after 51 tries"):
        patience.next_wait(TryAgain("x"))


def test_what_the_server_asks_for_has_a_budget_of_its_own() -> None:
    patience = Patience(Policy(retries=0))
    assert [patience.next_wait(TryAgain("busy", 300)) for _ in range(3)] == [300, 300, 300]
    with pytest.raises(RetryLater, match="waited 900 s") as caught:
        patience.next_wait(TryAgain("busy", 7))
    assert caught.value.delay == 7
    assert patience.failures == 0


def test_the_waits_of_one_request_together_are_an_option() -> None:
    policy = target_of(Connection("api", "http", "https://x", extra={"max_total_wait": 10})).policy
    patience = Patience(policy)
    assert patience.next_wait(TryAgain("busy", 8)) == 8
    with pytest.raises(RetryLater, match="waited 8 s, 3 s more"):
        patience.next_wait(TryAgain("busy", 3))
