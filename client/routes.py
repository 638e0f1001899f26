"""The routes of all topics that a producer sends to: found when a topic is first sent to, and kept as the cluster tells.

A route that nobody used for as long as metadata is kept of a topic that nobody asks for is forgotten, and found anew when
somebody does.
"""

from __future__ import annotations

import asyncio
from random import Random

from .accumulator import Accumulator
from .cluster import Cluster
from .partitioner import Partitioner
from .routing import TopicRoute


class Routes:
    """By the topic's name.  Owned by the loop."""

    def __init__(
        self,
        cluster: Cluster,
        accumulator: Accumulator,
        *,
        partitioner: Partitioner | None,
        switch_after_bytes: int,
        random: Random,
    ) -> None:
        self.by_topic: dict[str, TopicRoute] = {}
        self._cluster = cluster
        self._accumulator = accumulator
        self._partitioner = partitioner
        self._switch_after_bytes = switch_after_bytes
        self._random = random
        self._is_closed = False

    async def find(self, name: str, timeout_s: float) -> None:
        """Have the route of a topic; after `close` it is not kept.  Raises as `Cluster.topic`."""
        topic = await self._cluster.topic(name, timeout_s)
        if name in self.by_topic or self._is_closed:
            return
        self.by_topic[name] = TopicRoute(
            topic,
            self._accumulator,
            partitioner=self._partitioner,
            switch_after_bytes=self._switch_after_bytes,
            random=self._random,
        )
        self._accumulator.believe(self._cluster.metadata, _now_s())

    def cluster_changed(self) -> None:
        """Take over what is newly known, and forget what nobody used for long."""
        now_s = _now_s()
        oldest_s = now_s - self._cluster.settings.metadata_max_idle_ms / 1000
        for name, route in list(self.by_topic.items()):
            if route.used_at_s and route.used_at_s < oldest_s:
                del self.by_topic[name]
                continue
            topic = self._cluster.known_topic(name)
            if topic is not None:
                route.update(topic)
        for name in self._accumulator.topics:
            self._cluster.known_topic(name)  # is wanted, also when the route is gone
        self._accumulator.believe(self._cluster.metadata, now_s)

    def close(self) -> None:
        """Nothing is sent any more."""
        self._is_closed = True
        self.by_topic.clear()


def _now_s() -> float:
    return asyncio.get_running_loop().time()
