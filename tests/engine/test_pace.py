"""The size of commits follows their time, within bounds."""

from __future__ import annotations

import pytest

from airflow_datahub.engine.pace import Pace


def test_quick_commits_grow_by_a_quarter_up_to_twice_the_start() -> None:
    pace, sizes = Pace(8_000), []
    for _ in range(5):
        pace.learn(pace.records, 0.1)
        sizes.append(pace.records)
    assert sizes == [10_000, 12_500, 15_625, 16_000, 16_000]


@pytest.mark.parametrize(("start", "most"), [(1, 2), (15_000, 20_000), (50_000, 50_000)])
def test_the_most(start: int, most: int) -> None:
    pace = Pace(start)
    for _ in range(20):
        pace.learn(pace.records, 0.1)
    assert pace.records == most


@pytest.mark.parametrize(("start", "least"), [(100, 100), (50_000, 5_000)])
def test_slow_commits_halve_down_to_the_least(start: int, least: int) -> None:
    pace = Pace(start)
    for _ in range(10):
        pace.learn(pace.records, 2.1)
    assert pace.records == least


def test_slow_commits_of_one_size_halve_it_once() -> None:
    pace = Pace(20_000)
    for _ in range(3):
        pace.learn(20_000, 3)
    assert pace.records == 10_000


def test_what_is_neither_slow_nor_full_teaches_nothing() -> None:
    pace = Pace(10_000)
    pace.learn(9_999, 0.1)
    pace.learn(10_000, 1)
    assert pace.records == 10_000


def test_an_early_start_triples_up_to_the_start_and_only_then_grows() -> None:
    pace, sizes = Pace(10_000), []
    pace.start_early()
    for _ in range(5):
        sizes.append(pace.records)
        pace.sent()
        pace.learn(sizes[-1], 0.1)
    assert sizes == [1_000, 3_000, 9_000, 10_000, 12_500]


def test_an_early_start_never_exceeds_a_small_batch_size() -> None:
    pace = Pace(200)
    pace.start_early()
    assert pace.records == 200


def test_a_slow_commit_ends_the_early_growth() -> None:
    pace = Pace(10_000)
    pace.start_early()
    pace.sent()
    pace.learn(1_000, 2.1)
    pace.sent()
    assert pace.records == 3_000
