"""The assignor `uniform` for groups whose members want different topics: balance first, then as few moves as possible.

1. A member keeps what it shall have at present, of topics that it still wants.
2. What nobody has goes, topic by topic, to the subscriber that has least.
3. Then topic by topic partitions move from those who have most to those who have least, until no topic's subscribers
   differ by more than one; when a move in one topic unbalances another the round is repeated, at most MAX_ROUNDS times.

Topics with the most partitions for each subscriber come first: they leave least choice. When all who share a topic share
all their topics the result is perfectly balanced; with overlapping subscriptions nearly so.

Kafka's class: `UniformHeterogeneousAssignmentBuilder`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING
from uuid import UUID

from .member import Partitions

if TYPE_CHECKING:
    from .assignors import GroupSpec

MAX_ROUNDS = 16
"""Each round about halves what is unbalanced."""

NOBODY = -1


def assign_mixed(spec: GroupSpec) -> dict[str, Partitions]:
    """Balanced shares for all members."""
    return _Mixed(spec).assign()


class _Mixed:
    """Members are numbers here, in the order of the group."""

    def __init__(self, spec: GroupSpec) -> None:
        self.spec = spec
        self.members = list(spec.members.values())
        self.sizes = [0] * len(self.members)
        self.subscribers: dict[UUID, list[int]] = {}
        for number, member in enumerate(self.members):
            for topic in member.topics:
                self.subscribers.setdefault(topic, []).append(number)
        self.owners = {topic: [NOBODY] * spec.partition_counts[topic] for topic in self.subscribers}

    def assign(self) -> dict[str, Partitions]:
        self._keep()
        order = self._in_order(self.subscribers)
        for topic in order:
            self._hand_out(topic)
        self._balance([topic for topic in order if len(self.subscribers[topic]) > 1])
        return self._result()

    def _in_order(self, topics: Iterable[UUID]) -> list[UUID]:
        def place(topic: UUID) -> tuple[float, int, UUID]:
            count = len(self.subscribers[topic])
            return -len(self.owners[topic]) / count, count, topic

        return sorted(topics, key=place)

    def _keep(self) -> None:
        for number, member in enumerate(self.members):
            for topic, partitions in member.target.items():
                if topic in member.topics:
                    for partition in partitions:
                        self.owners[topic][partition] = number
                    self.sizes[number] += len(partitions)

    def _hand_out(self, topic: UUID) -> None:
        owners = self.owners[topic]
        free = [partition for partition, owner in enumerate(owners) if owner == NOBODY]
        if not free:
            return
        scale = _Scale(self.sizes, self.subscribers[topic])
        for partition in free:
            number = scale.next_lightest()
            owners[partition] = number
            self.sizes[number] += 1

    def _balance(self, topics: list[UUID]) -> None:
        last_moved = None
        for _ in range(MAX_ROUNDS):
            for topic in topics:
                if topic == last_moved:
                    return  # once round without a move
                if self._balance_topic(topic) or last_moved is None:
                    last_moved = topic

    def _balance_topic(self, topic: UUID) -> int:
        """How many partitions have moved."""
        scale = _Scale(self.sizes, self.subscribers[topic])
        if scale.difference <= 1:
            return 0
        owners = self.owners[topic]
        movable: dict[int, list[int]] = {}
        for partition, owner in enumerate(owners):
            movable.setdefault(owner, []).append(partition)
        moved = 0
        for heaviest in scale.heaviest_with(movable):
            partition = movable[heaviest].pop()
            lightest = scale.next_lightest()
            if scale.is_balanced:
                break
            owners[partition] = lightest
            self.sizes[heaviest] -= 1
            self.sizes[lightest] += 1
            moved += 1
        return moved

    def _result(self) -> dict[str, Partitions]:
        found: list[dict[UUID, set[int]]] = [{} for _ in self.members]
        for topic in sorted(self.owners):
            for partition, owner in enumerate(self.owners[topic]):
                found[owner].setdefault(topic, set()).add(partition)
        return {
            member_id: {topic: frozenset(partitions) for topic, partitions in each.items()}
            for member_id, each in zip(self.spec.members, found, strict=True)
        }


class _Scale:
    """Subscribers by how much they have, with two ranges that grow towards each other:

        [lightest ... ->  )   those who get, all at `light_level`
        (  <- ... heaviest]   those who give, all at `heavy_level`

    When all of a range have got (given) one, its level rises (falls) and who stands at that level joins the range. Once the
    levels differ by one or less, no move makes it better.
    """

    def __init__(self, sizes: list[int], subscribers: list[int]) -> None:
        self.sizes = sizes
        self.sorted = sorted(subscribers, key=lambda number: (sizes[number], number))
        lowest, highest = sizes[self.sorted[0]], sizes[self.sorted[-1]]
        self.difference = highest - lowest
        self.light_end, self.light_level, self.light_next = 0, lowest - 1, 0
        self.heavy_start = self.heavy_end = len(self.sorted)
        self.heavy_level, self.heavy_next = highest + 1, len(self.sorted) - 1

    @property
    def is_balanced(self) -> bool:
        return self.heavy_level - self.light_level <= 1

    def next_lightest(self) -> int:
        """Who gets the next partition."""
        if self.light_next >= self.light_end:
            self.light_level += 1
            while self.light_end < len(self.sorted) and self.sizes[self.sorted[self.light_end]] == self.light_level:
                self.light_end += 1
            self.light_next = 0
        number = self.sorted[self.light_next]
        self.light_next += 1
        return number

    def heaviest_with(self, movable: dict[int, list[int]]) -> Iterator[int]:
        """Who gives the next partition, of those who have any to give, until there are none."""
        while True:
            number = self._next_heaviest()
            if number == NOBODY:
                return
            if movable.get(number):
                yield number
            else:
                self._exclude_last()

    def _next_heaviest(self) -> int:
        if self.heavy_next < self.heavy_start:
            if self.heavy_end <= self.heavy_start and self.heavy_start > 0:
                # All of the range had nothing to give; go on from where the next one stands.
                self.heavy_level = self.sizes[self.sorted[self.heavy_start - 1]]
            else:
                self.heavy_level -= 1
            while self.heavy_start > 0 and self.sizes[self.sorted[self.heavy_start - 1]] == self.heavy_level:
                self.heavy_start -= 1
            self.heavy_next = self.heavy_end - 1
        if self.heavy_next < 0:
            return NOBODY
        number = self.sorted[self.heavy_next]
        self.heavy_next -= 1
        return number

    def _exclude_last(self) -> None:
        """Put the one that was just looked at outside of the range: it has nothing to give."""
        place, last = self.heavy_next + 1, self.heavy_end - 1
        self.sorted[place], self.sorted[last] = self.sorted[last], self.sorted[place]
        self.heavy_end -= 1
