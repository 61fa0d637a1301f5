"""How sources are cut into partitions, and what is said of a `partition` that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_datahub.contract import Partition
from airflow_datahub.errors import ConfigurationError
from airflow_datahub.spec import loads, plan
from airflow_datahub.spec.cutting import Windows
from airflow_datahub.spec.partitioning import Partitioning
from tests.windowed import BY_DAY, BY_NAME, spec

NOW = datetime(2024, 1, 3, 12, tzinfo=UTC)


def cut(zone: str = "UTC", now: datetime = NOW, **words: Any) -> Sequence[Partition]:
    """The partitions of a window."""
    made = {"from": "2024-01-01", "to": "now", "size": "1d"} | {
        word.rstrip("_"): value for word, value in words.items()
    }
    return Partitioning.model_validate({"by": "window", "window": made}).cut(now, zone)


def keys(parts: Sequence[Partition]) -> list[str]:
    return [each.key for each in parts]


def test_days_up_to_the_one_that_now_lies_in() -> None:
    first, _, last = cut()
    assert first == Partition(
        "2024-01-01", "2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z", datetime(2024, 1, 2, 1, tzinfo=UTC)
    )
    assert (last.key, last.end) == ("2024-01-03", "2024-01-04T00:00:00Z"), "its key does not change as the day goes by"
    assert keys(cut(now=datetime(2024, 1, 3, tzinfo=UTC))) == ["2024-01-01", "2024-01-02"]
    assert keys(cut(now=datetime(2023, 1, 3, tzinfo=UTC))) == []


def test_a_last_window_that_is_cut_short_says_so_in_its_key() -> None:
    assert keys(cut(to="2024-01-02T06:00")) == ["2024-01-01", "2024-01-02/2024-01-02T06:00Z"]
    assert keys(cut(to="2024-01-02T06:00:00.5"))[1] == "2024-01-02/2024-01-02T06:00:00.500000Z"
    assert keys(cut(to="2024-01-04", size="2d")) == ["2024-01-01/2024-01-03", "2024-01-03"]


def test_a_day_in_which_clocks_are_changed_is_a_day() -> None:
    spring = cut("Europe/Berlin", from_="2024-03-30", to="2024-04-02")
    assert keys(spring) == ["2024-03-30+01:00", "2024-03-31+01:00", "2024-04-01+02:00"]
    assert [hours(each) for each in spring] == [24, 23, 24]
    autumn = cut("Europe/Berlin", from_="2024-10-26", to="2024-10-29")
    assert [hours(each) for each in autumn] == [24, 25, 24]
    assert autumn[1].start == "2024-10-27T00:00:00+02:00"


def test_hours_are_counted_by_the_clock_that_nobody_changes() -> None:
    night = cut("Europe/Berlin", from_="2024-10-27T01:00", to="2024-10-27T04:00", size="1h")
    assert [each.key[:22] for each in night] == [
        "2024-10-27T01:00+02:00", "2024-10-27T02:00+02:00", "2024-10-27T02:00+01:00", "2024-10-27T03:00+01:00",
    ]  # fmt: skip
    assert [hours(each) for each in night] == [1, 1, 1, 1]
    assert len(cut("Europe/Berlin", from_="2024-03-31", to="2024-04-01", size="1h")) == 23


def test_a_midnight_that_there_is_not() -> None:
    """In Santiago clocks went from 24:00 to 01:00."""
    parts = cut("America/Santiago", from_="2024-09-07", to="2024-09-10")
    assert [hours(each) for each in parts] == [24, 23, 24]


def test_a_moment_with_a_zone_of_its_own_is_that_moment() -> None:
    assert keys(cut(from_="2024-01-01T00:00:00+01:00", to="2024-01-02T00:00:00+01:00")) == [
        "2023-12-31T23:00Z/2024-01-01T23:00Z"
    ]


def hours(partition: Partition) -> float:
    start, end = (datetime.fromisoformat(each) for each in (partition.start, partition.end))
    return (end.astimezone(UTC) - start.astimezone(UTC)) / timedelta(hours=1)


ZONES = ["UTC", "Europe/Berlin", "America/Santiago", "Australia/Lord_Howe", "Asia/Kathmandu", "America/New_York"]
MOMENTS = st.datetimes(datetime(1999, 1, 1), datetime(2040, 1, 1))


@given(
    MOMENTS,
    st.integers(1, 40 * 86_400),
    st.sampled_from(["1h", "90m", "7h", "1d", "24h", "3d"]),
    st.sampled_from(ZONES),
)
def test_windows_have_no_gap_and_no_overlap_and_keys_that_differ(
    first: datetime, seconds: int, size: str, zone: str
) -> None:
    last = first + timedelta(seconds=seconds)
    parts = list(cut(zone, from_=first.isoformat(), to=last.isoformat(), size=size))
    moments = [[datetime.fromisoformat(text).astimezone(UTC) for text in (each.start, each.end)] for each in parts]
    assert all(start < end for start, end in moments)
    assert all(before[1] == after[0] for before, after in pairwise(moments))
    assert len(set(keys(parts))) == len(parts)


def test_any_of_a_million_is_found_without_the_others() -> None:
    minutes = cut(from_="2024-01-01", to="2025-11-25T10:40", size="1m")
    assert len(minutes) == 1_000_000
    assert minutes[-1].key == "2025-11-25T10:39Z/2025-11-25T10:40Z"
    assert keys(minutes[1:3]) == ["2024-01-01T00:01Z/2024-01-01T00:02Z", "2024-01-01T00:02Z/2024-01-01T00:03Z"]
    with pytest.raises(IndexError):
        minutes[1_000_000]
    with pytest.raises(ConfigurationError, match="makes 1,000,001 partitions, at most 1,000,000 can be"):
        Windows(datetime(2024, 1, 1), datetime(2025, 11, 25, 10, 41), timedelta(minutes=1), UTC).parts()


def test_ranges_and_names() -> None:
    ranges = Partitioning.model_validate({"by": "range", "range": {"from": 1, "to": 250, "size": 100}}).cut(NOW, "UTC")
    assert list(ranges) == [Partition("1-100", 1, 100), Partition("101-200", 101, 200), Partition("201-250", 201, 250)]
    names = Partitioning.model_validate({"by": "list", "list": ["de", 7]}).cut(NOW, "UTC")
    assert list(names) == [Partition("de"), Partition("7")]


WINDOW = "by: window, window: {from: 2024-01-01, to: now, size: 1d}"


@pytest.mark.parametrize(
    ("partition", "says"),
    [
        ("{by: window}", "'partition': `by: window` wants `window`, too"),
        (
            "{by: list, window: {from: 2024-01-01, to: now, size: 1d}, list: [a]}",
            "`window` has no meaning with `by: list`",
        ),
        ("{by: source}", "'http_api' knows no partitions of its own: say `by: window`, `range` or `list`"),
        ("{by: day}", "'by' wants 'window', 'range', 'list' or 'source', not 'day'"),
        ("{by: window, window: {from: 2024-01-02, to: 2024-01-02, size: 1d}}", "'window': `to` must be after `from`"),
        ("{by: window, window: {from: 2024-01-02, to: 2024-01-01, size: 1h}}", "'window': `to` must be after `from`"),
        ("{by: window, window: {from: 2024-01-01, to: now, size: 0d}}", "'size' wants a duration above 0s"),
        ("{by: window, window: {from: 2024-01-01, to: now, size: 1mo}}", "'size' wants a duration such as"),
        ("{by: window, window: {from: 2024-02-30, to: now, size: 1d}}", "'from' wants a date such as 2024-01-31"),
        ("{by: window, window: {from: 0001-01-01, to: now, size: 1d}}", "'from' wants a date from 1900 to 2200"),
        ("{by: window, window: {from: 2024-01-01, to: today, size: 1d}}", "or 'now', not 'today'"),
        ("{by: window, window: {from: 2024-01-01, to: 2025-01-01, size: 1s}}", "that makes 31,622,400 partitions"),
        ("{by: window, window: {from: 2024-01-01, size: 1d}}", "'to' is missing"),
        ("{by: range, range: {from: 5, to: 4, size: 1}}", "'range': `to` must not be below `from`"),
        ("{by: range, range: {from: 1, to: 4, size: 0}}", "'size' wants at least 1"),
        ("{by: range, range: {from: -1, to: 4, size: 1}}", "'from' wants at least 0"),
        ("{by: range, range: {from: 1, to: true, size: 1}}", "'to' wants a whole number"),
        ("{by: range, range: {from: 1, to: 1000001, size: 1}}", "that makes 1,000,001 partitions"),
        ("{by: list, list: [a, b, a]}", "'list': 'a' stands there twice"),
        ("{by: list, list: []}", "'list' wants a list of at least 1"),
        ("{by: list, list: [true]}", "wants a text of 1 to 200 characters"),
        (f"{{{WINDOW}, concurrency: 0}}", "'concurrency' wants at least 1"),
        (f"{{{WINDOW}, concurency: 4}}", "no field 'concurency'; did you mean 'concurrency'?"),
    ],
)
def test_what_is_wrong_with_a_partition(wrong: Callable[..., list[str]], partition: str, says: str) -> None:
    query = BY_NAME if "list" in partition else "{from: '{{ partition.from }}'}"
    (found,) = wrong(spec(partition, query))
    assert says in found
    assert found.startswith(("12:", "13:")), found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (spec(query="{from: 1}"), "is not named by `config`, so that each would bring the same"),
        (spec(query="{from: '{{ partition.start }}'}"), "'from': no partition 'start'"),
        (spec("{by: list, list: [a]}", "{from: '{{ partition.from }}'}"), "'from': no partition 'from'"),
        (spec().replace(f"    partition: {BY_DAY}\n", ""), "a template knows 'partition' where the extract step has"),
        (spec(load="strategy: replace"), "'partition' does not go with `strategy: replace`"),
        (spec(head="lock: events"), "'partition' wants `concurrency: 1` here"),
        (spec().replace("- key: load", "- key: load\n    stage: own"), "'partition' wants one line of steps"),
        (spec("{by: list, list: ['{{ params.a }}']}", BY_NAME, "params: {a: 1}"), "is not rendered"),
    ],
)  # fmt: skip
def test_what_does_not_go_with_it(wrong: Callable[..., list[str]], text: str, says: str) -> None:
    found = wrong(text)
    assert any(says in each for each in found), found


def test_a_template_may_name_all_of_it() -> None:
    loads(spec(query="{a: '{{ partition.key }}', b: '{{ partition.from[:10] }}', c: '{{ partition.to }}'}"), "p.yaml")
    loads(spec("{by: window, concurrency: 1, window: {from: 2024-01-01, to: now, size: 1d}}", head="lock: a"), "p.yaml")


def test_the_plan_has_a_task_that_cuts_and_one_that_commits() -> None:
    stages = plan(loads(spec("{by: list, list: [a, b], concurrency: 2}", BY_NAME), "p.yaml")).stages
    assert [(each.key, each.kind, each.after) for each in stages] == [
        ("partitions", "partitions", ()),
        ("events-load", "steps", ("partitions",)),
        ("commit", "commit", ("events-load",)),
    ]
    assert [(each.mapped, each.at_once) for each in stages] == [(False, None), (True, 2), (False, None)]
