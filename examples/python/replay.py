"""Read again what was written since a time, without a group and without disturbing anybody.

python replay.py --bootstrap 127.0.0.1:9092 --topic orders --since 2026-03-01T12:00:00+00:00
"""

from __future__ import annotations

import argparse
import asyncio
from datetime import datetime

from ottla import Consumer


async def replay(bootstrap: str, topic: str, since: datetime) -> None:
    async with Consumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        partitions = consumer.assignment()
        ends = await consumer.end_offsets(partitions)
        begins = await consumer.offsets_for_times(dict.fromkeys(partitions, int(since.timestamp() * 1000)))
        for partition in partitions:
            begin = begins[partition]
            consumer.seek(partition, ends[partition] if begin is None else begin.offset)
        while any([await consumer.position(each) < ends[each] for each in partitions]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    print(f"{record.timestamp} {record.topic}-{record.partition} @ {record.offset}: {record.value!r}")


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--bootstrap", default="127.0.0.1:9092")
    words.add_argument("--topic", default="orders")
    words.add_argument("--since", type=datetime.fromisoformat, required=True, help="a time, ISO 8601")
    arguments = words.parse_args()
    asyncio.run(replay(arguments.bootstrap, arguments.topic, arguments.since))


if __name__ == "__main__":
    main()
