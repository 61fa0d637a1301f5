from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from airflow_datahub.demo.events import BEGIN, POISONS, STEP, Events, generate


def records(events: Events) -> list[Any]:
    return list(json.loads(b"[" + events.page(0, len(events))[0] + b"]"))


def test_the_same_seed_gives_the_same_events() -> None:
    assert generate(500, seed=3).text == generate(500, seed=3).text
    assert generate(500, seed=3).text != generate(500, seed=4).text


def test_more_events_begin_with_the_same_ones() -> None:
    assert generate(900).text.startswith(generate(500).text)


def test_events_look_as_promised() -> None:
    made = records(generate(2000, duplicates=0))
    first = made[0]
    assert set(first) == {"id", "type", "timestamp", "userId", "sessionId", "properties"}
    assert str(uuid.UUID(first["id"])) == first["id"]
    assert {type(record["timestamp"]) for record in made} == {str, int}
    numbers = [record["timestamp"] for record in made if isinstance(record["timestamp"], int)]
    assert {len(str(number)) for number in numbers} == {10, 13}
    assert {"雪 winter 🎿", "back\\slash", "tab\there"} <= {record["properties"]["title"] for record in made}


def test_events_have_about_350_bytes() -> None:
    events = generate(1000)
    assert 330 < len(events.text) / len(events) < 380


def test_unique_counts_what_is_left_of_duplicates() -> None:
    events = generate(5000, duplicates=0.1)
    ids = [record["id"] for record in records(events)]
    assert len(ids) == 5000
    assert events.unique == len(set(ids))
    assert 0.05 < 1 - events.unique / 5000 < 0.15


def test_duplicates_are_equal_word_by_word() -> None:
    seen: dict[str, Any] = {}
    for record in records(generate(3000, duplicates=0.2)):
        assert seen.setdefault(record["id"], record) == record


def storable(record: Any) -> bool:
    return (
        isinstance(record, dict)
        and isinstance(record.get("id"), str)
        and record["timestamp"] != "soon"
        and "\0" not in record["properties"]["title"]
    )


def test_poisonous_records_are_counted_apart() -> None:
    events = generate(3000, duplicates=0.05, poison=0.1)
    made = records(events)
    good = {record["id"] for record in made if storable(record)}
    assert events.unique == len(good)
    assert events.poisonous == sum(not storable(record) for record in made)
    assert events.poisonous > len(POISONS)


def test_every_kind_of_poison_appears() -> None:
    made = [record for record in records(generate(200, duplicates=0, poison=1.0)) if not storable(record)]
    assert len(made) == 200
    assert any(not isinstance(record, dict) for record in made)
    assert any(isinstance(record, dict) and "id" not in record for record in made)
    assert any(isinstance(record, dict) and "\0" in record["properties"]["title"] for record in made)


@pytest.mark.parametrize(("offset", "limit", "length"), [(0, 10, 10), (95, 10, 5), (100, 10, 0), (900, 10, 0)])
def test_pages(offset: int, limit: int, length: int) -> None:
    data, end = generate(100).page(offset, limit)
    assert len(json.loads(b"[" + data + b"]")) == length
    assert end == 100 if length < limit else end == offset + limit


def test_pages_are_not_copies() -> None:
    events = generate(100)
    assert events.page(3, 4)[0].obj is events.text


def test_since() -> None:
    events = generate(100)
    assert events.since(0) == 0
    assert events.since(BEGIN) == 0
    assert events.since(BEGIN + 10 * STEP) == 10
    assert events.since(BEGIN + 10 * STEP + 1) == 11
    assert events.since(BEGIN + 10**9) == 100


def test_no_events() -> None:
    events = generate(0)
    assert (len(events), events.unique, bytes(events.page(0, 10)[0])) == (0, 0, b"")
