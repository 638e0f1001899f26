"""Whether a member of a consumer group may commit and fetch offsets: by its epoch, and by who owns the partition.

    commit   the member's epoch is accepted. An older one is accepted for a partition that has been the member's since then:
             the commit was on its way when the epoch moved on. For any other it is STALE_MEMBER_EPOCH, and nobody else's
             progress is overwritten by a member that has lost the partition.
    fetch    exactly the member's epoch, or no member at all (an administrator)

Members of the classic protocol hear ILLEGAL_GENERATION instead. A member of the new protocol commits with OffsetCommit 9 or
later, the first that has a word for a stale epoch. Kafka's methods: `ConsumerGroup.validateOffsetCommit` (KIP-1251),
`validateOffsetFetch`.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from ....protocol.errors import ErrorCode, KafkaError
from ..group_records import NEVER_MS, Committed, GroupRecord, OffsetRemoved
from ..groups_state import GroupsState
from .group import ConsumerGroup
from .member import ConsumerMember
from .migration import tombstones

EPOCH_IN_COMMIT_FROM = 9

CheckPartition = Callable[[UUID, int], None]
"""Of a topic's id and partition: KafkaError when its offset may not be committed, and with it none of the request."""


def check_commit(group: ConsumerGroup, member_id: str, epoch: int, *, api_version: int | None) -> CheckPartition:
    """What may be committed. `api_version` is None for a commit in a transaction.

    KafkaError when nothing may: UNKNOWN_MEMBER_ID, UNSUPPORTED_VERSION, STALE_MEMBER_EPOCH, ILLEGAL_GENERATION.
    """
    if epoch < 0 and (not group.members or (api_version is None and not member_id)):
        return _anything
    member = group.member(member_id)
    if api_version is not None and api_version < EPOCH_IN_COMMIT_FROM and not member.is_classic:
        raise KafkaError(
            ErrorCode.UNSUPPORTED_VERSION,
            "OffsetCommit version 9 or above must be used by members using the consumer group protocol",
        )
    if epoch == member.epoch:
        return _anything
    if epoch > member.epoch:
        raise KafkaError(_stale(member), f"Received member epoch {epoch} is newer than {member.epoch}.")
    return lambda topic_id, partition: _check_owner(member, epoch, topic_id, partition)


def check_fetch(group: ConsumerGroup, member_id: str | None, epoch: int) -> None:
    """KafkaError: UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH, ILLEGAL_GENERATION."""
    if member_id is None and epoch < 0:
        return
    member = group.member(member_id or "")
    if epoch != member.epoch:
        raise KafkaError(_stale(member), f"The received member epoch {epoch} does not match {member.epoch}.")


def _anything(topic_id: UUID, partition: int) -> None:
    return None


def _check_owner(member: ConsumerMember, epoch: int, topic_id: UUID, partition: int) -> None:
    since = member.owns_since(topic_id, partition)
    if since is None or epoch < since:
        raise KafkaError(
            _stale(member), f"Received member epoch {epoch}, partition {partition} is owned since {since}."
        )


def _stale(member: ConsumerMember) -> ErrorCode:
    return ErrorCode.ILLEGAL_GENERATION if member.is_classic else ErrorCode.STALE_MEMBER_EPOCH


# --- expiry


def expire(group: ConsumerGroup, state: GroupsState, *, retention_ms: int, now_ms: int) -> list[GroupRecord]:
    """Records that remove the offsets that are older than the retention, in topics that nobody in the group reads; and the
    group itself when it is empty and has no offset left.
    """
    offsets = state.offsets.get(group.group_id, {})
    pending = set(state.pending_of(group.group_id))
    expired: list[GroupRecord] = [
        OffsetRemoved(group.group_id, topic, index)
        for topic, partitions in offsets.items()
        if not group.is_subscribed_to(topic)
        for index, each in partitions.items()
        if _is_over(each, retention_ms, now_ms) and (group.group_id, topic, index) not in pending
    ]
    everything = len(expired) == sum(map(len, offsets.values())) and not pending
    return [*expired, *tombstones(group)] if everything and not group.members else expired


def _is_over(committed: Committed, retention_ms: int, now_ms: int) -> bool:
    if committed.expires_at_ms != NEVER_MS:
        return now_ms >= committed.expires_at_ms
    return now_ms - committed.committed_at_ms >= retention_ms
