"""A compacted topic as a table: the latest value of each key, loaded at the start and kept up to date.

    ottla topics create settings --config cleanup.policy=compact
    python compacted_table.py --bootstrap 127.0.0.1:9092 --topic settings

A record without a value deletes its key. The table is complete once everything is read that was there at the start.
"""

from __future__ import annotations

import argparse
import asyncio

from ottla import Consumer


class Table:
    """The latest value by key, of all partitions of a topic."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.rows: dict[str, str] = {}
        self._consumer = Consumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")

    async def __aenter__(self) -> Table:
        await self._consumer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def load(self) -> None:
        """Read what is there now."""
        ends = await self._consumer.end_offsets(self._consumer.assignment())
        while any([await self._consumer.position(each) < end for each, end in ends.items()]):
            await self.follow()

    async def follow(self) -> None:
        """Take in what came since, waiting half a second for it."""
        for records in (await self._consumer.getmany(timeout_ms=500)).values():
            for record in records:
                key = record.key.decode()
                if record.value is None:
                    self.rows.pop(key, None)
                else:
                    self.rows[key] = record.value.decode()


async def show(bootstrap: str, topic: str) -> None:
    async with Table(bootstrap, topic) as table:
        await table.load()
        for key, value in sorted(table.rows.items()):
            print(f"{key} = {value}")


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--bootstrap", default="127.0.0.1:9092")
    words.add_argument("--topic", default="settings")
    arguments = words.parse_args()
    asyncio.run(show(arguments.bootstrap, arguments.topic))


if __name__ == "__main__":
    main()
