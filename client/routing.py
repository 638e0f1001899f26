"""Which lane a record of one topic goes to.

The choice of the partition is `partitioner`'s; here it is applied to one topic as the cluster has it just now, and the
lane is looked up.  Pure; replaced when metadata says that the topic has other partitions or leaders.
"""

from __future__ import annotations

from random import Random

from .accumulator import Accumulator
from .lane import Lane
from .metadata import Topic
from .partitioner import Partitioner, StickyPartition, partition_for_key


class TopicRoute:
    """The lanes of a topic."""

    def __init__(
        self,
        topic: Topic,
        accumulator: Accumulator,
        *,
        partitioner: Partitioner | None,
        switch_after_bytes: int,
        random: Random,
    ) -> None:
        self.topic = topic
        self.used_at_s = 0.0
        self._accumulator = accumulator
        self._partitioner = partitioner
        self._sticky = StickyPartition(switch_after_bytes=switch_after_bytes, random=random)
        self._take(topic)

    def update(self, topic: Topic) -> None:
        """Take over what is newly known; the sticky partition stays, if it still has a leader."""
        if topic is not self.topic:
            self._take(topic)

    def _take(self, topic: Topic) -> None:
        self.topic = topic
        self._all = tuple(topic.partitions)
        self._available = topic.available or self._all
        self._lanes = {each: self._accumulator.lane(topic.name, each) for each in self._all}
        self.for_keyless: Lane | None = None  # the lane of records without a key, once one is chosen

    def lane_at(self, partition: int) -> Lane:
        """The lane of a partition that the caller names; ValueError if the topic has none such."""
        lane = self._lanes.get(partition)
        if lane is None:
            raise ValueError(f"topic {self.topic.name} has no partition {partition}, it has {len(self._all)}")
        return lane

    def lane_for(self, key: bytes | None) -> Lane:
        """The lane for a record with this key, or with none."""
        if self._partitioner is not None:
            return self.lane_at(self._partitioner(key, self._all, self._available))
        if key is not None:
            return self._lanes[self._all[partition_for_key(key, len(self._all))]]
        return self.for_keyless or self._choose()

    def lane_after(self, lane: Lane, key: bytes | None) -> Lane:
        """The lane to open a batch in, instead of `lane` whose last is closed: for records without a key maybe another."""
        if lane is not self.for_keyless or key is not None:
            return lane
        self._sticky.produced(lane.last_filled_bytes, self._available, self._queue_sizes())
        return self._choose()

    def _choose(self) -> Lane:
        self.for_keyless = self._lanes[self._sticky.current(self._available, self._queue_sizes())]
        return self.for_keyless

    def _queue_sizes(self) -> dict[int, int]:
        return self._accumulator.queue_sizes(self.topic.name, self._available)
