"""One member of the group of the demonstration, a process of its own: reads events, and notes which it has seen.

Its notes are one byte for each event, how often it came (255 is the most that fits), written down when it ends.
Positions are committed on the way, as they are by default; so what a member had in its hands when something broke may come
again, to it or to another member: at least once.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path
from typing import Any

from ottla import Consumer
from ottla.client.serializers import from_json
from worker import parent_left, say

REPORT_S = 0.1
_MOST = 255


class Notes:
    """What a member has seen."""

    def __init__(self, events: int) -> None:
        self.seen = bytearray(events)
        self._records = 0
        self._again = 0
        self._next_offsets: dict[int, int] = {}

    def take(self, partition: int, offset: int, event_id: int) -> None:
        self._records += 1
        self._next_offsets[partition] = offset + 1
        before = self.seen[event_id]
        self._again += before > 0
        self.seen[event_id] = min(before + 1, _MOST)

    def report(self, partitions: list[int]) -> dict[str, object]:
        next_offsets = list(self._next_offsets.items())
        return {"partitions": partitions, "records": self._records, "again": self._again, "next_offsets": next_offsets}


async def read(arguments: argparse.Namespace, notes: Notes) -> None:
    consumer = Consumer[bytes, dict[str, Any]](
        arguments.topic,
        bootstrap_servers=arguments.bootstrap,
        group_id=arguments.group,
        client_id=arguments.name,
        group_protocol=arguments.group_protocol,
        auto_offset_reset="earliest",
        auto_commit_interval_ms=1_000,
        value_deserializer=from_json,
    )
    over = asyncio.create_task(parent_left())
    async with consumer:
        reported_s = 0.0
        while not over.done():
            fetched = await consumer.getmany(timeout_ms=int(REPORT_S * 1000))
            for partition, records in fetched.items():
                for record in records:
                    assert record.value is not None, "an event"
                    notes.take(partition.partition, record.offset, record.value["id"])
            if time.monotonic() - reported_s >= REPORT_S:
                reported_s = time.monotonic()
                say(notes.report(sorted(each.partition for each in consumer.assignment())))


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--group-protocol", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--seen", type=Path, required=True, help="file for the notes")
    arguments = parser.parse_args()
    notes = Notes(arguments.events)
    await read(arguments, notes)
    say(notes.report([]))
    arguments.seen.write_bytes(notes.seen)


if __name__ == "__main__":
    asyncio.run(main())
