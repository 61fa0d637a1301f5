"""Counters add up and balance."""

from __future__ import annotations

import pytest

from airflow_datahub.state import Counters


def test_they_add_up_field_by_field() -> None:
    first = Counters(*range(1, 16))
    assert first + Counters(*range(10, 25)) == Counters(*range(11, 40, 2))
    assert first == Counters(*range(1, 16)), "adding changes neither"


@pytest.mark.parametrize(
    "counters",
    [
        Counters(),
        Counters(records_in=10, records_out=10),
        Counters(records_in=10, made=4, records_out=8, rejected=1, filtered=3, merged=2),
        Counters(records_in=10, records_out=10, inserted=4, updated=3, unchanged=2, deleted=1),
    ],
)
def test_what_is_accounted_for_balances(counters: Counters) -> None:
    assert counters.balances()


@pytest.mark.parametrize("name", ["records_in", "made", "records_out", "rejected", "filtered", "merged", "deleted"])
def test_one_too_many_anywhere_does_not_balance(name: str) -> None:
    counters = Counters(records_in=10, made=4, records_out=8, rejected=1, filtered=3, merged=2, inserted=8)
    assert counters.balances(sink=True)
    assert not (counters + Counters(**{name: 1})).balances(sink=True)


def test_a_sink_must_say_what_became_of_its_records() -> None:
    assert Counters(records_in=3, records_out=3).balances()
    assert not Counters(records_in=3, records_out=3).balances(sink=True)
    assert not Counters(records_in=3, records_out=3, inserted=2).balances()
