"""A consumer group as a person looks at it: its members, and partition by partition how far it is behind.

A partition is shown when a member has it or the group has committed there. The lag is the end of the partition less
the committed offset; without a commit there is none to tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..client.admin import (
    Admin,
    CommittedOffset,
    GroupDescription,
    GroupMember,
    ListedOffset,
    OffsetSpec,
    TopicPartition,
)
from ..protocol.errors import ErrorCode, KafkaError
from ..protocol.values import dataclass


@dataclass(frozen=True, slots=True)
class PartitionProgress:
    """How far the group is in a partition; None where nothing is committed, or the end cannot be had."""

    partition: TopicPartition
    committed: int | None
    end: int | None
    member: GroupMember | None

    @property
    def lag(self) -> int | None:
        return None if self.committed is None or self.end is None else self.end - self.committed


@dataclass(frozen=True, slots=True)
class GroupView:
    """A group with its progress, by topic and partition."""

    group: GroupDescription
    progress: tuple[PartitionProgress, ...]

    @property
    def lag(self) -> int:
        """Of all partitions that have one."""
        return sum(each.lag for each in self.progress if each.lag is not None)


async def look_at(admin: Admin, ids: Sequence[str]) -> tuple[list[GroupView], dict[str, KafkaError]]:
    """These groups, all when none is named; and why some cannot be shown."""
    names = list(ids) or [each.id for each in await admin.list_groups()]
    described = await admin.describe_groups(names)
    refused = {name: each for name, each in described.items() if isinstance(each, KafkaError)}
    if not ids:  # gone since they were listed
        refused = {name: each for name, each in refused.items() if each.code is not ErrorCode.GROUP_ID_NOT_FOUND}
    groups = [each for each in described.values() if isinstance(each, GroupDescription)]
    committed = await admin.list_group_offsets([each.id for each in groups])
    refused |= {name: each for name, each in committed.items() if isinstance(each, KafkaError)}
    offsets = {name: _offsets(each) for name, each in committed.items() if not isinstance(each, KafkaError)}
    wanted = {each for some in offsets.values() for each in some} | {
        each for some in groups for each in _assigned(some)
    }
    ends = await admin.list_offsets(dict.fromkeys(sorted(wanted), OffsetSpec.LATEST))
    return [GroupView(each, _progress(each, offsets[each.id], ends)) for each in groups if each.id in offsets], refused


def _offsets(committed: Mapping[TopicPartition, CommittedOffset | KafkaError]) -> dict[TopicPartition, int]:
    return {partition: each.offset for partition, each in committed.items() if isinstance(each, CommittedOffset)}


def _assigned(group: GroupDescription) -> dict[TopicPartition, GroupMember]:
    return {partition: member for member in group.members for partition in member.assignment or ()}


def _progress(
    group: GroupDescription,
    offsets: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, ListedOffset | KafkaError],
) -> tuple[PartitionProgress, ...]:
    owners = _assigned(group)
    return tuple(
        PartitionProgress(each, offsets.get(each), _end(ends.get(each)), owners.get(each))
        for each in sorted(offsets.keys() | owners.keys())
    )


def _end(listed: ListedOffset | KafkaError | None) -> int | None:
    return listed.offset if isinstance(listed, ListedOffset) else None


def partitions_text(partitions: Iterable[TopicPartition]) -> str:
    """`orders(0,1), payments(2)`, as Kafka's tool writes them."""
    topics: dict[str, list[str]] = {}
    for each in partitions:
        topics.setdefault(each.topic, []).append(str(each.partition))
    return ", ".join(f"{topic}({','.join(indexes)})" for topic, indexes in topics.items())
