"""Decisions about committed offsets: who may commit, what has expired, what may be deleted. Pure.

A commit comes from a member of the present generation, or from nobody in particular (generation -1, no member id): a
consumer that assigns itself its partitions, or an administrator. The latter is taken only while the group has no members.

An offset expires `offsets.retention.minutes` after

    a group of members, now empty                  it became empty
    a group without members ever                   its commit
    a stable group of consumers                    its commit, if none of them reads the topic
    any other                                      never

or, if the client asked for a retention of its own (OffsetCommit up to v4), when that is over; never while a member reads
the topic. An empty group goes with its last offset.

Kafka's classes: `OffsetMetadataManager`, `OffsetExpirationCondition`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from uuid import UUID

from ...protocol.errors import ErrorCode
from ...protocol.messages import Message
from .fencing import check_generation
from .group import Group, GroupState
from .group_records import (
    NEVER_MS,
    NO_TIME_MS,
    NO_TOPIC_ID,
    Committed,
    GroupRecord,
    GroupRemoved,
    OffsetRemoved,
)
from .groups_state import GroupsState, Place
from .turn import NO_MEMBER_ID

UNKNOWN_GROUP_FROM = 9
"""From this version of OffsetCommit on a client knows GROUP_ID_NOT_FOUND."""

# --- OffsetCommit


def check_commit(group: Group | None, request: Message, *, api_version: int) -> ErrorCode:
    """Whether this OffsetCommit may be taken; NONE, or why not."""
    generation = request.generation_id_or_member_epoch
    if group is None:
        if generation < 0:
            return ErrorCode.NONE
        return ErrorCode.GROUP_ID_NOT_FOUND if api_version >= UNKNOWN_GROUP_FROM else ErrorCode.ILLEGAL_GENERATION
    if generation < 0 and group.state is GroupState.EMPTY:
        return ErrorCode.NONE
    if generation < 0 and request.member_id == NO_MEMBER_ID and request.group_instance_id is None:
        return ErrorCode.UNKNOWN_MEMBER_ID
    code = check_generation(group, request.member_id, request.group_instance_id, generation)
    if code is ErrorCode.NONE and group.state is GroupState.COMPLETING:
        return ErrorCode.REBALANCE_IN_PROGRESS
    return code


def check_txn_commit(group: Group | None, member_id: str, instance_id: str | None, generation: int) -> ErrorCode:
    """Whether a TxnOffsetCommit may be taken; NONE, or why not.

    A producer that does not say which member it commits for is taken at its word: it fences by its transactional id.
    """
    if group is None:
        return ErrorCode.NONE if generation < 0 else ErrorCode.ILLEGAL_GENERATION
    if generation < 0 and (group.state is GroupState.EMPTY or (member_id == NO_MEMBER_ID and instance_id is None)):
        return ErrorCode.NONE
    return check_generation(group, member_id, instance_id, generation)


# --- expiry


def expire(group: Group, state: GroupsState, *, retention_ms: int, now_ms: int) -> list[GroupRecord]:
    """Records that remove what has expired, and the group itself when it is empty and has no offset left."""
    offsets = state.offsets.get(group.group_id, {})
    pending = set(state.pending_of(group.group_id))
    expired = [
        OffsetRemoved(group.group_id, topic, index)
        for topic, partitions in offsets.items()
        if _may_expire(group) and not group.is_subscribed_to(topic)
        for index, each in partitions.items()
        if _is_over(group, each, retention_ms, now_ms) and (group.group_id, topic, index) not in pending
    ]
    everything = len(expired) == sum(map(len, offsets.values())) and not pending
    if everything and group.state is GroupState.EMPTY and not group.pending:
        return [*expired, GroupRemoved(group.group_id)]
    return [*expired]


def _may_expire(group: Group) -> bool:
    if group.state is GroupState.EMPTY:
        return True
    return group.state is GroupState.STABLE and group.is_consumer_group and group.subscribed_topics is not None


def _is_over(group: Group, committed: Committed, retention_ms: int, now_ms: int) -> bool:
    if committed.expires_at_ms != NEVER_MS:
        return now_ms >= committed.expires_at_ms
    had_members = group.protocol_type is not None and group.state is GroupState.EMPTY
    is_known = had_members and group.state_changed_at_ms != NO_TIME_MS
    since_ms = group.state_changed_at_ms if is_known else committed.committed_at_ms
    return now_ms - since_ms >= retention_ms


# --- deleting


def check_delete_offsets(group: Group | None) -> ErrorCode:
    """Whether offsets of this group may be deleted at all; of topics that nobody reads, as far as can be known."""
    if group is None:
        return ErrorCode.GROUP_ID_NOT_FOUND
    if group.state is not GroupState.EMPTY and not group.is_consumer_group:
        return ErrorCode.NON_EMPTY_GROUP
    return ErrorCode.NONE


def check_delete_group(group: Group | None) -> ErrorCode:
    """Whether the group may be deleted."""
    if group is None:
        return ErrorCode.GROUP_ID_NOT_FOUND
    return ErrorCode.NONE if group.state is GroupState.EMPTY else ErrorCode.NON_EMPTY_GROUP


def everything_of(group_id: str, state: GroupsState) -> list[GroupRecord]:
    """Records that remove the group with all its offsets, those in open transactions too."""
    here = {
        Place(group_id, topic, index) for topic, indexes in state.offsets.get(group_id, {}).items() for index in indexes
    }
    removed = [OffsetRemoved(*place) for place in sorted(here | set(state.pending_of(group_id)))]
    return [*removed, GroupRemoved(group_id)]


def present(group_id: str, state: GroupsState, wanted: Iterable[tuple[str, Iterable[int]]]) -> Iterator[OffsetRemoved]:
    """Records that remove those of the wanted partitions that have a committed offset."""
    for topic, partitions in wanted:
        for index in partitions:
            if state.committed(group_id, topic, index) is not None or state.is_pending(group_id, topic, index):
                yield OffsetRemoved(group_id, topic, index)


def of_deleted_topic(state: GroupsState, topic: str, topic_id: UUID, *, deleted_at_ms: int) -> Iterator[OffsetRemoved]:
    """Records that remove every group's offsets in a topic that was deleted, but not those of a later one of its name.

    Looks at the state as it goes on: what was removed or committed anew meanwhile is left alone.
    """
    for group_id in list(state.offsets):
        for index, each in list(state.offsets.get(group_id, {}).get(topic, {}).items()):
            of_it = each.topic_id == topic_id
            unknown = each.topic_id == NO_TOPIC_ID and each.committed_at_ms <= deleted_at_ms
            if (of_it or unknown) and state.committed(group_id, topic, index) is each:
                yield OffsetRemoved(group_id, topic, index)
