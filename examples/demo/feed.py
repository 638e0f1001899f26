"""The producer of the demonstration, a process of its own: sends the events of a shop's day, and notes where each went.

Event N is the Nth that is sent, so acknowledgements are looked at in that order.  The last thing it does is to write down,
for every event, the place that the broker acknowledged: `offset * partitions + partition`, 8 bytes each.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from array import array
from collections import deque
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "spark")]  # the examples are files, not a package

from events import Event, events  # noqa: E402
from ottla import Producer  # noqa: E402
from ottla.client.delivery import Delivery  # noqa: E402
from worker import parent_left, say  # noqa: E402

REPORT_S = 0.1
_LOOK_EVERY = 100  # events


class Feed:
    """What was sent and what became of it."""

    def __init__(self, *, partitions: int) -> None:
        self._partitions = partitions
        self._on_their_way: deque[Delivery] = deque()
        self._sent = 0
        self._ends = [0] * partitions
        self.places = array("q")

    async def send(self, producer: Producer[str, Event], topic: str, event: Event) -> None:
        self._on_their_way.append(await producer.send(topic, event, key=event.user))
        self._sent += 1

    def look(self) -> None:
        """Note what was acknowledged.  Raises what went wrong with a record."""
        waiting = self._on_their_way
        while waiting and waiting[0].done():
            written = waiting.popleft().result()
            self.places.append(written.offset * self._partitions + written.partition)
            self._ends[written.partition] = written.offset + 1

    def report(self) -> dict[str, object]:
        return {"sent": self._sent, "acknowledged": len(self.places), "ends": self._ends}


async def send_all(arguments: argparse.Namespace, feed: Feed) -> None:
    """All events, at most `rate` of them in a second."""
    began_s = time.monotonic()
    producer = Producer[str, Event](
        arguments.bootstrap,
        client_id="feed",
        linger_ms=5,
        key_serializer=str.encode,
        value_serializer=Event.to_json,
    )
    async with producer:
        for event in events(arguments.events, seed=arguments.seed):
            await feed.send(producer, arguments.topic, event)
            if event.id % _LOOK_EVERY == 0:
                feed.look()
                if arguments.rate:
                    await asyncio.sleep(began_s + event.id / arguments.rate - time.monotonic())
        await producer.flush()
        feed.look()


async def report_on(feed: Feed) -> None:
    while True:
        await asyncio.sleep(REPORT_S)
        feed.look()
        say(feed.report())


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--partitions", type=int, required=True)
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--rate", type=int, required=True, help="0: as fast as can be")
    parser.add_argument("--places", type=Path, required=True, help="file for what was acknowledged")
    arguments = parser.parse_args()
    feed = Feed(partitions=arguments.partitions)
    sending = asyncio.create_task(send_all(arguments, feed))
    others = [asyncio.create_task(report_on(feed)), asyncio.create_task(parent_left())]
    await asyncio.wait([sending, *others], return_when=asyncio.FIRST_COMPLETED)
    for each in (sending, *others):
        if each.done():
            each.result()
        each.cancel()
    if not sending.cancelling():
        arguments.places.write_bytes(feed.places.tobytes())
        say({**feed.report(), "is_done": True})


if __name__ == "__main__":
    asyncio.run(main())
