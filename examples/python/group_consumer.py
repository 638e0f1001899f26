"""Read with a group, and commit what is done: start it twice, and the two share the partitions.

    python group_consumer.py --bootstrap 127.0.0.1:9092 --topic orders --group billing

A record is done when its batch is committed. Killed in between, the next start does that batch again: at least once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import Counter

from ottla import Consumer


async def consume(bootstrap: str, topic: str, group: str, count: int) -> None:
    owed: Counter[str] = Counter()
    done = 0
    async with Consumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        value_deserializer=json.loads,
    ) as consumer:
        while done < count:
            for records in (await consumer.getmany(timeout_ms=500, max_records=100)).values():
                for record in records:
                    owed[record.value["customer"]] += record.value["cents"]
                done += len(records)
            await consumer.commit()
    for customer, cents in sorted(owed.items()):
        print(f"{customer} owes {cents / 100:.2f}")


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--bootstrap", default="127.0.0.1:9092")
    words.add_argument("--topic", default="orders")
    words.add_argument("--group", default="billing")
    words.add_argument("--count", type=int, default=1_000, help="stop after so many records")
    arguments = words.parse_args()
    asyncio.run(consume(arguments.bootstrap, arguments.topic, arguments.group, arguments.count))


if __name__ == "__main__":
    main()
