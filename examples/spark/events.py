"""The events of the demonstration: what people do in a web shop during one day, the same for everybody.

An event is a small JSON object, keyed by its user:

    {"id": 17, "at": "2026-03-01T08:15:02.417", "user": "u4711", "kind": "buy", "category": "books", "cents": 1290}

Everything follows from the seed. Events come roughly in the order of their times, none later than LATENESS after one
that is newer, as events of a real service do; so a stream job with a longer watermark than that must count every one.
At the end comes one CLOSING event for each partition, two days later: it moves the watermark past the last window.

`hourly` is the same computation as the Spark job's, in plain Python: what the job must find.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

START = datetime(2026, 3, 1)
DAY = timedelta(days=1)
LATENESS = timedelta(minutes=2)
USERS = 20_000
CATEGORIES = ("books", "garden", "kitchen", "music", "shoes", "toys")
KINDS = ("view",) * 17 + ("cart",) * 2 + ("buy",)
CLOSING = "closing"
LATECOMERS = 500
"""So many records are written while a stream waits that began at the end of its topic."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that somebody did. `at` has milliseconds; `cents` is the price of what was bought, else 0."""

    id: int
    at: datetime
    user: str
    kind: str
    category: str
    cents: int

    def to_json(self) -> bytes:
        at = self.at.isoformat(timespec="milliseconds")
        return json.dumps(
            {
                "id": self.id,
                "at": at,
                "user": self.user,
                "kind": self.kind,
                "category": self.category,
                "cents": self.cents,
            },
            separators=(",", ":"),
        ).encode()


def events(count: int, *, seed: int) -> Iterator[Event]:
    """`count` events over one day, busiest in the evening; the same for the same seed."""
    random = Random(seed)
    choice, below = random.choice, random.random
    for number in range(count):
        # The square root lets events grow denser towards the end of the day.
        since_start = DAY * ((number / count) ** 0.5)
        at = START + since_start - LATENESS * below()
        kind = choice(KINDS)
        cents = 99 + int(20_000 * below()) if kind == "buy" else 0
        yield Event(number, at, f"u{int(USERS * below())}", kind, choice(CATEGORIES), cents)


def closing_events(count: int) -> Iterator[Event]:
    """One for each partition: they belong to no window that anybody asks for."""
    for number in range(count):
        yield Event(-1 - number, START + 3 * DAY, CLOSING, CLOSING, CLOSING, 0)


@dataclass(slots=True)
class Totals:
    """What happened in one category during one hour."""

    events: int = 0
    buys: int = 0
    cents: int = 0


def hourly(happened: Iterator[Event]) -> dict[tuple[str, str], Totals]:
    """Totals by (start of the hour as ISO text, category)."""
    totals: dict[tuple[str, str], Totals] = defaultdict(Totals)
    for event in happened:
        hour = event.at.replace(minute=0, second=0, microsecond=0).isoformat()
        found = totals[hour, event.category]
        found.events += 1
        found.buys += event.kind == "buy"
        found.cents += event.cents
    return dict(totals)
