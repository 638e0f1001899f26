"""Between the live classic group, its record, and the picture of it that `migration` knows."""

from __future__ import annotations

from ..group import Group
from ..group_records import GroupStored, StoredMember
from .classic_picture import ClassicGroupPicture, ClassicMemberPicture


def picture_of(group: Group) -> ClassicGroupPicture:
    """A group with members, as it is. While it is being rebalanced the protocol of before may not be everybody's."""
    chosen = group.protocol_name
    if chosen is None or group.votes[chosen] < len(group.members):
        chosen = group.choose_protocol()
    return ClassicGroupPicture(
        group.group_id,
        group.generation,
        group.protocol_type or "",
        chosen,
        tuple(
            ClassicMemberPicture(
                each.member_id,
                each.instance_id,
                each.client_id,
                each.client_host,
                each.rebalance_timeout_ms,
                each.session_timeout_ms,
                each.protocols,
                each.assignment,
            )
            for each in group.members.values()
        ),
    )


def stored_group(classic: ClassicGroupPicture, now_ms: int) -> GroupStored:
    """The record of the group. The first member leads it."""
    return GroupStored(
        classic.group_id,
        classic.generation,
        classic.protocol_type,
        classic.protocol_name,
        classic.members[0].member_id,
        now_ms,
        tuple(
            StoredMember(
                each.member_id,
                each.instance_id,
                each.client_id,
                each.client_host,
                each.rebalance_timeout_ms,
                each.session_timeout_ms,
                dict(each.protocols)[classic.protocol_name],
                each.assignment,
            )
            for each in classic.members
        ),
    )


def live_group(classic: ClassicGroupPicture, now_ms: int) -> Group:
    """The group itself, whose members offer all that they did."""
    group = Group.load(stored_group(classic, now_ms))
    for each in classic.members:
        member = group.members[each.member_id]
        group.update(member, each.protocols, each.rebalance_timeout_ms, each.session_timeout_ms)
    return group
