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

from collections.abc import Iterable, Iterator, Mapping

from ...protocol.errors import ErrorCode
from ...protocol.messages import Message
from .fencing import check_generation
from .group import Group, GroupState
from .group_records import NEVER_MS, Committed, GroupDeleted, GroupRecord, OffsetsDeleted
from .groups_state import CommittedTopic
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


# --- expiry


def expire(
    group: Group, offsets: Mapping[str, CommittedTopic], *, retention_ms: int, now_ms: int
) -> GroupRecord | None:
    """The record that removes what has expired; None when nothing has, or the group may not be looked at now."""
    expired = {
        topic: tuple(index for index, each in found.partitions.items() if _is_over(group, each, retention_ms, now_ms))
        for topic, found in offsets.items()
        if _may_expire(group) and not group.is_subscribed_to(topic)
    }
    everything = all(len(expired.get(topic, ())) == len(found.partitions) for topic, found in offsets.items())
    if everything and group.state is GroupState.EMPTY and not group.pending:
        return GroupDeleted(group.group_id)
    removed = tuple((topic, partitions) for topic, partitions in expired.items() if partitions)
    return OffsetsDeleted(group.group_id, removed) if removed else None


def _may_expire(group: Group) -> bool:
    if group.state is GroupState.EMPTY:
        return True
    return group.state is GroupState.STABLE and group.is_consumer_group and group.subscribed_topics is not None


def _is_over(group: Group, committed: Committed, retention_ms: int, now_ms: int) -> bool:
    if committed.expires_at_ms != NEVER_MS:
        return now_ms >= committed.expires_at_ms
    had_members = group.protocol_type is not None and group.state is GroupState.EMPTY
    since_ms = group.state_changed_at_ms if had_members else committed.committed_at_ms
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


def present(
    offsets: Mapping[str, CommittedTopic], wanted: Iterable[tuple[str, Iterable[int]]]
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Of the wanted partitions those that have a committed offset."""
    for topic, partitions in wanted:
        found = offsets.get(topic)
        if found is not None:
            here = tuple(index for index in partitions if index in found.partitions)
            if here:
                yield topic, here
