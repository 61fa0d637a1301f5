"""Channels end in two ways, and nobody waits for ever."""

from __future__ import annotations

import threading

import pytest

from airflow_datahub.engine.channel import Channel, Closed, Room


def test_what_was_put_before_the_end_is_taken_out() -> None:
    channel: Channel[int] = Channel(2)
    channel.put(1)
    channel.put(2)
    channel.finish()
    assert list(channel) == [1, 2]


def test_a_full_channel_holds_the_producer_back() -> None:
    channel: Channel[int] = Channel(1)
    channel.put(1)
    second = threading.Thread(target=channel.put, args=(2,), daemon=True)
    second.start()
    second.join(0.05)
    assert second.is_alive()
    items = iter(channel)
    assert next(items) == 1
    second.join(2)
    assert not second.is_alive()


def test_closing_frees_both_sides() -> None:
    channel: Channel[int] = Channel(1)
    channel.put(1)
    ended = []

    def produce() -> None:
        with pytest.raises(Closed):
            channel.put(2)
        ended.append("producer")

    producer = threading.Thread(target=produce, daemon=True)
    producer.start()
    channel.close()
    producer.join(2)
    with pytest.raises(Closed):
        next(iter(channel))
    assert ended == ["producer"]


def test_one_item_larger_than_the_room_goes_through_alone() -> None:
    room = Room(10)
    room.take(100)
    other = threading.Thread(target=room.take, args=(1,), daemon=True)
    other.start()
    other.join(0.05)
    assert other.is_alive()
    room.give_back(100)
    other.join(2)
    assert not other.is_alive()


def test_a_channel_of_no_size_hands_over() -> None:
    channel: Channel[int] = Channel(0)
    producer = threading.Thread(target=lambda: (channel.put(1), channel.put(2), channel.finish()), daemon=True)
    producer.start()
    items = iter(channel)
    assert next(items) == 1
    producer.join(0.05)
    assert producer.is_alive(), "the second item waits until somebody asks for it"
    assert list(items) == [2]
