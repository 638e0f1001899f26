"""What Spark must find, computed without Spark."""

from __future__ import annotations

import json

from events import LATECOMERS, Totals
from loading import Written
from ottla import Consumer

READ_TIMEOUT_MS = 2000


def read_answers(written: Written, time_ms: int) -> dict[str, int]:
    """The answer to each question of `reads.Reads`."""
    sizes = [len(each) for each in written.times_ms]
    from_time = [size - written.first_at(index, time_ms) for index, size in enumerate(sizes)]
    ends = [size if index == 0 else 5000 + index for index, size in enumerate(sizes)]
    begins = [100 * index for index in range(len(sizes))]
    return {
        "batch, by name": written.count,
        "batch, by pattern": written.count,
        "batch, two partitions": sizes[0] + sizes[1],
        "batch, a range of offsets": sum(ends) - sum(begins),
        "batch, from a time": sum(from_time),
        "batch, to a time": written.count - sum(from_time),
        "batch, many small tasks": written.count,
        "batch, with a header": written.count,
        "stream, from offsets": written.count - sum(begins),
        "stream, from a time": from_time[0],
        "batch sink, read again": written.count,
        "stream, from the end": LATECOMERS,
    }


async def windows_in(bootstrap: str, topic: str) -> tuple[dict[tuple[str, str], Totals], int]:
    """The windows that Spark wrote, by hour and category, and how many records say so.

    A window may be there twice when Spark was killed; twice with different totals is an AssertionError.
    """
    found: dict[tuple[str, str], Totals] = {}
    records = 0
    async with Consumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        ends = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(each) < end for each, end in ends.items()]):
            for batch in (await consumer.getmany(timeout_ms=READ_TIMEOUT_MS)).values():
                for record in batch:
                    hour, _, category = record.key.decode().partition("|")
                    totals = Totals(**json.loads(record.value))
                    assert found.setdefault((hour, category), totals) == totals, f"{hour} {category} was told twice"
                    records += 1
    return found, records
