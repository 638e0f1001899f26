"""What becomes of many values that were sent together."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

from ..protocol.values import dataclass
from .delivery import Fate, RecordMetadata
from .home_loop import must_be_on


@dataclass(frozen=True, slots=True)
class WrittenRange:
    """So many records lie in a partition from `offset` on (-1: the broker does not say), in the order they were sent."""

    topic: str
    partition: int
    offset: int
    count: int


@dataclass(slots=True)
class _Part:
    fate: Fate
    index: int
    count: int
    timestamp: int


class BulkDelivery:
    """The awaitable of `send_batch`; its result is where the values were written, in their order.

    Raises what the first record that was not written would raise.
    """

    def __init__(self) -> None:
        self._parts: list[_Part] = []

    @property
    def count(self) -> int:
        """How many records were taken."""
        return sum(part.count for part in self._parts)

    def add(self, fate: Fate, index: int, count: int, timestamp: int) -> None:
        """Records `index` to `index + count` of a batch are among them."""
        last = self._parts[-1] if self._parts else None
        if last is not None and last.fate is fate:
            last.count += count
        else:
            self._parts.append(_Part(fate, index, count, timestamp))

    def done(self) -> bool:
        """Whether it is known of every record what became of it."""
        return all(part.fate.outcome is not None for part in self._parts)

    def result(self) -> list[WrittenRange]:
        """As awaiting it, once it is done; InvalidStateError before."""
        if not self.done():
            raise asyncio.InvalidStateError("records are on their way")
        ranges: list[WrittenRange] = []
        for part in self._parts:
            for index, count in part.fate.pieces(part.index, part.count):
                ranges.append(_range(part.fate.metadata(index, part.timestamp), count))
        return ranges

    def __await__(self) -> Generator[Any, None, list[WrittenRange]]:
        for part in self._parts:
            if part.fate.outcome is None:
                must_be_on(part.fate.loop, "producer")
        yield from settled([part.fate for part in self._parts]).__await__()
        return self.result()


def _range(first: RecordMetadata, count: int) -> WrittenRange:
    return WrittenRange(first.topic, first.partition, first.offset, count)


async def settled(fates: list[Fate]) -> None:
    """Return when each of the fates is decided."""
    waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    left = len(fates)

    def decided() -> None:
        nonlocal left
        left -= 1
        if left == 0 and not waiting.done():
            waiting.set_result(None)

    for fate in fates:
        fate.watch(decided)
    if left:
        await waiting
