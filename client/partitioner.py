"""Which partition a record goes to.

A record with a key goes where its key says: Kafka's murmur2 of the key, modulo all partitions, so that every client
in every language puts the same key into the same partition (Java's `Utils.murmur2` and `BuiltInPartitioner`).  Note
that a partition without a leader is waited for, never replaced: order per key comes first.

A record without a key goes to the *sticky* partition, which stays the same until a batch's worth of bytes went there,
for one full batch is cheaper than many small ones (KIP-480), and all partitions still get the same bytes (KIP-794).
The next one is drawn among those that have a leader; where queues have grown, a partition is drawn the less often the
longer its queue is, so that a slow broker is given less.

Whoever wants it otherwise gives a function of the key, all partitions, and those that have a leader.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from random import Random

Partitioner = Callable[[bytes | None, Sequence[int], Sequence[int]], int]
"""Key, all partitions in order, those with a leader (all, if none has): the partition.  As aiokafka's."""

_SEED = 0x9747B28C
_M = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """Kafka's 32-bit murmur2 of `data`, as an unsigned number."""
    length = len(data)
    whole = length & ~3
    h = _SEED ^ length
    for k in struct.unpack_from(f"<{whole >> 2}I", data):
        k = k * _M & _MASK
        h = (h * _M ^ (k ^ k >> 24) * _M) & _MASK
    if whole < length:
        h = (h ^ int.from_bytes(data[whole:], "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


def partition_for_key(key: bytes, partition_count: int) -> int:
    """The partition of a key among `partition_count`, the same in every Kafka client."""
    return (murmur2(key) & 0x7FFFFFFF) % partition_count


class StickyPartition:
    """The partition that a topic's records without a key go to just now."""

    def __init__(self, *, switch_after_bytes: int, random: Random) -> None:
        self._switch_after_bytes = switch_after_bytes
        self._random = random
        self._current: int | None = None
        self._bytes = 0

    def current(self, available: Sequence[int], queue_sizes: Mapping[int, int]) -> int:
        """The partition; another if it is no longer in `available`.  Not there counts as an empty queue."""
        if self._current is None or self._current not in available:
            self._draw(available, queue_sizes)
        assert self._current is not None
        return self._current

    def produced(self, size_bytes: int, available: Sequence[int], queue_sizes: Mapping[int, int]) -> None:
        """A batch of so many bytes was filled in the current partition: draw another if that is enough."""
        self._bytes += size_bytes
        if self._bytes >= self._switch_after_bytes:
            self._draw(available, queue_sizes)

    def _draw(self, available: Sequence[int], queue_sizes: Mapping[int, int]) -> None:
        sizes = [queue_sizes.get(each, 0) for each in available]
        longest = max(sizes)
        weights = list(accumulate(longest + 1 - size for size in sizes))
        self._current = available[bisect_right(weights, self._random.randrange(weights[-1]))]
        self._bytes = 0
