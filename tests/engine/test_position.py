"""A position passes over exactly what was dealt with, wherever a commit ended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from airflow_datahub.contract import Batch, Checkpoint
from airflow_datahub.engine.position import Place, Position, identity, told


def paged(records: list[Any], page: int, cursor: int | None) -> Iterator[Batch]:
    """A source whose last page has no cursor behind it."""
    start = cursor or 0
    while True:
        some = records[start : start + page]
        start += page
        yield Batch(some, cursor=start if start < len(records) else None, size=len(some))
        if start >= len(records):
            return


def numbers(count: int) -> list[Any]:
    return [{"n": n, "again": n // 3} for n in range(count)]


def restored(place: Place) -> Position:
    return Position.of(Checkpoint(1, "o", place.cursor, place.skip, "f", {}, last=place.last))


def read(position: Position, batches: Iterator[Batch], most: int, stop: int | None = None) -> list[int]:
    got: list[int] = []
    pieces = 0
    for batch in batches:
        for piece in position.pieces(batch, lambda: most):
            got += [record["n"] for record in piece.records]
            pieces += 1
            if pieces == stop:
                return got
    return got


@given(
    count=st.integers(0, 60), page=st.integers(1, 25), most=st.integers(1, 30), stop=st.integers(1, 40),
    grown=st.integers(0, 30),
)  # fmt: skip
def test_nothing_is_lost_or_doubled_over_a_stop_after_any_piece(
    count: int, page: int, most: int, stop: int, grown: int
) -> None:
    position = Position()
    got = read(position, paged(numbers(count), page, None), most, stop)
    again = restored(position.place)
    got += read(again, paged(numbers(count + grown), page, again.place.cursor), most)
    assert got == list(range(count + grown))


@given(gone=st.sets(st.integers(0, 8)), grown=st.integers(0, 30))
def test_records_that_went_in_front_cost_nothing_new(gone: set[int], grown: int) -> None:
    position = Position()
    read(position, paged(numbers(10), 20, None), 100)
    later = [record for record in numbers(10 + grown) if record["n"] not in gone]
    assert read(restored(position.place), paged(later, 20, None), 100) == list(range(10, 10 + grown))


def test_where_the_last_record_has_changed_it_alone_comes_again() -> None:
    position = Position()
    read(position, paged(numbers(10), 20, None), 100)
    later = [*numbers(9), {"n": 9, "changed": True}, {"n": 10}]
    assert read(restored(position.place), paged(later, 20, None), 100) == [9, 10]


def test_where_none_of_the_last_records_is_left_the_page_is_read_again() -> None:
    position = Position()
    read(position, paged(numbers(10), 20, None), 100)
    again = restored(position.place)
    assert read(again, paged(numbers(5), 20, None), 100) == list(range(5))
    assert again.lost


def test_any_record_has_an_identity() -> None:
    odd = [{"a": "\ud800"}, {1: 2}, {"a": object}, {"a": float("nan")}, [{"deep": 1}], 10**30, None]
    assert len({identity(record) for record in odd}) == len(odd)


def test_an_empty_answer_keeps_the_position() -> None:
    place = Place(7, 10, ("hash",))
    position = Position(place)
    assert list(position.pieces(Batch([], cursor=None), lambda: 100)) == []
    assert position.place == place


def test_pieces_carry_their_origins_and_share_the_size() -> None:
    batch = Batch([{"n": n} for n in range(10)], cursor="c", origins=[b"%d" % n for n in range(10)], size=1000)
    pieces = list(Position().pieces(batch, lambda: 4))
    assert pieces[2].origins == [b"8", b"9"]
    assert [piece.size for piece in pieces] == [400, 400, 200]


def test_a_person_says_how_many_records_are_dealt_with_without_knowing_them() -> None:
    position = Position(Place("c", skip=3, mark="m"))
    (piece,) = position.pieces(Batch([{"n": n} for n in range(5)]), lambda: 100)
    assert [record["n"] for record in piece.records] == [3, 4]
    assert (position.lost, position.place.skip) == (False, 5)
    assert list(Position(Place("c", skip=9, mark="m")).pieces(Batch([{"n": 1}]), lambda: 100)) == []


def test_a_cursor_is_told_so_that_it_can_be_set_by_hand() -> None:
    assert [told(cursor) for cursor in (None, 10**30, "c5")] == ["start", str(10**30), "c5"]
    assert told({"since": None, "at": 12345}) == '{"since":null,"at":12345}'
