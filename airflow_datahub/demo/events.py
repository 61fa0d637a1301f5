"""The events that the mock API serves: made from a seed, kept as one serialised text.

{"id": "1f0c…-…", "type": "click", "timestamp": "2026-01-01T00:00:07.812Z" | 1767225607 | 1767225607812,
 "userId": "u_004211", "sessionId": "s_9ab…", "properties": {"page": …, "title": …, "device": {…}, …}}
"""

from __future__ import annotations

import itertools
import json
import random
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

TYPES = ("page_view", "click", "purchase", "signup", "refund", "search", "add_to_cart", "logout")
SYSTEMS = ("ios", "android", "windows", "macos", "linux")
TITLES = (
    "Zürich café",
    'the "best" pick',
    "back\\slash",
    "plain title",
    "naïve — dash",
    "tab\there",
    "雪 winter 🎿",
    "O'Neil",
)
TITLES_JSON = tuple(json.dumps(title, ensure_ascii=index % 2 == 0) for index, title in enumerate(TITLES))

BEGIN = 1_767_225_600
"""2026-01-01T00:00:00Z: the time of the first event; each next one is `STEP` seconds later."""
STEP = 3

Poison = Callable[[str], str]
POISONS: dict[str, Poison] = {
    "nul": lambda event: event.replace('"title":"', '"title":"\\u0000', 1),
    "no_id": lambda event: event.replace('"id":', '"identifier":', 1),
    "null_id": lambda event: '{"id":null' + event[event.index(',"type"') :],
    "bad_time": lambda event: event.replace('"timestamp":', '"timestamp":"soon","was":', 1),
    "not_an_object": lambda event: json.dumps(event[7:43]),
}
"""What poisonous records look like, in turn; none of them can be stored as an event."""


@dataclass(frozen=True)
class Events:
    """All events, and where each begins. Events are comma-separated in `text`; `starts` has one item more."""

    text: bytes
    starts: array[int]
    unique: int
    """Distinct ids among the events that can be stored."""
    poisonous: int

    def __len__(self) -> int:
        return len(self.starts) - 1

    def page(self, offset: int, limit: int) -> tuple[memoryview, int]:
        """The JSON of `limit` events from `offset` on, without brackets and not copied, and the offset behind them."""
        end = min(offset + limit, len(self))
        if offset >= end:
            return memoryview(b""), end
        return memoryview(self.text)[self.starts[offset] : self.starts[end] - 1], end

    def since(self, moment: float) -> int:
        """The offset of the first event delivered at or after the moment, in epoch seconds."""
        return min(max(-int((BEGIN - moment) // STEP), 0), len(self))


def generate(count: int, seed: int = 7, duplicates: float = 0.02, poison: float = 0.0) -> Events:
    """Make `count` events, the same ones for the same arguments.

    A share `duplicates` repeats an earlier event word by word, half of them one of the last 500 (pages that overlap),
    half any (delivered again); a share `poison` is what no table can take.
    """
    source = random.Random(seed)
    chance, below = source.random, source.randrange
    recipes = itertools.cycle(POISONS.values())
    made: list[str] = []
    good: list[str] = []
    poisonous = 0
    for index in range(count):
        dice = chance()
        if good and dice < duplicates:
            made.append(good[max(0, len(good) - 1 - below(500))] if dice * 2 < duplicates else good[below(len(good))])
        elif dice >= 1 - poison:
            poisonous += 1
            made.append(next(recipes)(event(index, source.getrandbits(256))))
        else:
            good.append(event(index, source.getrandbits(256)))
            made.append(good[-1])
    encoded = [item.encode() for item in made]
    ends = itertools.accumulate((len(item) + 1 for item in encoded), initial=0)
    return Events(b",".join(encoded), array("Q", ends), len(good), poisonous)


def event(index: int, bits: int) -> str:
    """One event as JSON: the id from the upper half of 256 random bits, everything else from the lower."""
    digits = f"{bits:064x}"
    number = bits & 0xFFFFFFFF
    return (
        f'{{"id":"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:32]}",'
        f'"type":"{TYPES[number & 7]}","timestamp":{timestamp(index, number)},"userId":"u_{number % 1_000_000:06d}",'
        f'"sessionId":"s_{digits[32:44]}","properties":{{"page":"/products/{number % 10_007}",'
        f'"title":{TITLES_JSON[number >> 3 & 7]},"referrer":"https://example.com/c/{number % 503}",'
        f'"amount":{number % 99_991 / 100},"currency":"EUR","items":[{number % 991},{number % 983},{number % 977}],'
        f'"device":{{"os":"{SYSTEMS[number % 5]}","version":"{number % 19}.{number % 7}",'
        f'"mobile":{"true" if number & 64 else "false"}}}}}}}'
    )


def timestamp(index: int, number: int) -> str:
    """The event's time in one of three notations, as JSON."""
    seconds, notation, thousandths = BEGIN + index * STEP, number % 10, number % 1000
    if notation < 4:
        return f'"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}.{thousandths:03d}Z"'
    return str(seconds) if notation < 7 else str(seconds * 1000 + thousandths)
