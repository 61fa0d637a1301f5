"""A position passes over exactly what was dealt with, wherever a commit ended."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from airflow_datahub.contract import Batch, Checkpoint
from airflow_datahub.engine.position import Position


def paged(count: int, page: int, cursor: int | None) -> Iterator[Batch]:
    """A source of `count` records whose last page has no cursor behind it."""
    start = cursor or 0
    while True:
        records = [{"n": n} for n in range(start, min(start + page, count))]
        start += page
        yield Batch(records, cursor=start if start < count else None, size=len(records))
        if start >= count:
            return


def checkpoint(position: Position) -> Checkpoint:
    return Checkpoint(1, "o", position.cursor, position.skip, "f", {})


@given(
    count=st.integers(0, 60), page=st.integers(1, 25), later_page=st.integers(1, 25), most=st.integers(1, 30),
    stop=st.integers(0, 40), grown=st.integers(0, 30),
)  # fmt: skip
def test_nothing_is_lost_or_doubled_over_a_stop_after_any_piece(
    count: int, page: int, later_page: int, most: int, stop: int, grown: int
) -> None:
    got: list[int] = []
    position = Position()
    saved = Position()
    pieces = 0
    for batch in paged(count, page, None):
        for piece in position.pieces(batch, most):
            if pieces == stop:
                break
            pieces += 1
            got += [record["n"] for record in piece.records]
            saved = Position.of(checkpoint(position))
        else:
            continue
        break
    for batch in paged(count + grown, later_page, saved.cursor):
        for piece in saved.pieces(batch, most):
            got += [record["n"] for record in piece.records]
    assert got == list(range(count + grown))


def test_a_shrunken_last_page_keeps_the_position() -> None:
    position = Position(cursor=7, left=10)
    assert list(position.pieces(Batch([{}] * 4, cursor=None), 100)) == []
    assert (position.cursor, position.skip) == (7, 10)


def test_pieces_carry_their_origins_and_share_the_size() -> None:
    batch = Batch([{"n": n} for n in range(10)], cursor="c", origins=[b"%d" % n for n in range(10)], size=1000)
    pieces = list(Position().pieces(batch, 4))
    assert [piece.origins for piece in pieces][2] == [b"8", b"9"]
    assert [piece.size for piece in pieces] == [400, 400, 200]
