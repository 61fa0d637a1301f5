"""Names of rejects that are replayed."""

from __future__ import annotations

from airflow_datahub.replayed import apart, entry_of, named, on, reject_of

NAME = named(17, "tidy", ("orders", 1))


def test_a_name_says_which_reject_it_is_of_and_where_it_enters() -> None:
    assert (reject_of(NAME), entry_of(NAME)) == (17, "tidy")
    assert named(17, "tidy", ("orders", 1)) == NAME
    assert named(17, "tidy", ("orders", 2)) != NAME


def test_each_way_has_a_name_of_its_own_and_enters_at_the_start() -> None:
    ways = [on(NAME, "a>b"), on(NAME, "a>c"), on(on(NAME, "a>b"), "b>c")]
    assert len({NAME, *ways}) == 4
    assert {(reject_of(each), entry_of(each)) for each in ways} == {(17, "")}


def test_what_becomes_of_one_has_the_same_names_each_time() -> None:
    other = named(18, "tidy", ("orders", 1))
    found = apart([NAME, NAME, other, NAME])
    assert (found[0], found[2], len(set(found))) == (NAME, other, 4)
    assert found == apart([NAME, NAME, other, NAME])
