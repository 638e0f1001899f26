"""Server-side assignors: who shall have which partition. By name (`assignor_names`), and what they are given and give back.

    range      every topic cut into ranges, members in order: the same members meet the same partition numbers
    uniform    equal shares over all topics, and as little as possible taken from whom it has now

An assignor is a function of the members (their topics, and what they shall have at present) and the partition counts;
nothing else, so the same question has the same answer. It gives every partition of a topic to exactly one of the members
that are subscribed to it. Kafka's classes: `PartitionAssignor`, `GroupSpec`, `RangeAssignor`, `UniformAssignor`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from uuid import UUID

from ....protocol.values import dataclass
from .member import Partitions
from .range_assignor import assign_range
from .uniform_assignor import assign_uniform

Assignor = Callable[["GroupSpec"], dict[str, Partitions]]


@dataclass(frozen=True, slots=True)
class MemberSpec:
    """One member as assignors see it; `topics` exist, `target` is what it shall have at present."""

    instance_id: str | None
    topics: frozenset[UUID]
    target: Partitions


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """A group with at least one member. Homogeneous: all are subscribed to the same topics."""

    members: Mapping[str, MemberSpec]
    partition_counts: Mapping[UUID, int]
    is_homogeneous: bool


ASSIGNORS: dict[str, Assignor] = {"range": assign_range, "uniform": assign_uniform}
