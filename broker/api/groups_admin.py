"""DescribeGroups, ListGroups, DeleteGroups: groups as an administrator sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...protocol.apis import ApiKey
from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message
from ..coordinators.coordinator import refusal_of
from ..coordinators.group import Group, GroupState, Member
from ..coordinators.offsets import check_delete_group
from .context import Handler, RequestContext

if TYPE_CHECKING:
    from ..app import Broker

NOT_FOUND_FROM = 6
"""DescribeGroups tells from this version on that there is no such group, where it was "Dead" before."""
OPERATIONS_NOT_ASKED = -(2**31)
GROUP_OPERATIONS = sum(1 << operation for operation in (3, 6, 8, 10, 11))
"""Read, delete, describe, describe configs, alter configs: without an authorizer everybody may do all of it."""
CLASSIC = "classic"


# --- DescribeGroups


def describe_groups(broker: Broker, context: RequestContext, request: Message) -> Message:
    described = [_described(broker, context, group_id) for group_id in request.groups]
    if request.include_authorized_operations:
        for each in described:
            if each.error_code is ErrorCode.NONE:
                each.authorized_operations = GROUP_OPERATIONS
    return Message(groups=described)


def _described(broker: Broker, context: RequestContext, group_id: str) -> Message:
    group = broker.groups.groups.get(group_id)
    if group is None:
        return _not_found(context, group_id)
    protocol = group.protocol_name if group.state is GroupState.STABLE else None
    return Message(
        error_code=ErrorCode.NONE,
        group_id=group_id,
        group_state=group.state.value,
        protocol_type=group.protocol_type or "",
        protocol_data=protocol or "",
        members=[_member(each, protocol) for each in group.members.values()],
        authorized_operations=OPERATIONS_NOT_ASKED,
    )


def _not_found(context: RequestContext, group_id: str) -> Message:
    says_so = context.api_version >= NOT_FOUND_FROM
    return Message(
        error_code=ErrorCode.GROUP_ID_NOT_FOUND if says_so else ErrorCode.NONE,
        error_message=f"Group {group_id} not found." if says_so else None,
        group_id=group_id,
        group_state=GroupState.DEAD.value,
        protocol_type="",
        protocol_data="",
        members=[],
        authorized_operations=OPERATIONS_NOT_ASKED,
    )


def _member(member: Member, protocol: str | None) -> Message:
    return Message(
        member_id=member.member_id,
        group_instance_id=member.instance_id,
        client_id=member.client_id,
        client_host=member.client_host,
        member_metadata=b"" if protocol is None else member.metadata(protocol),
        member_assignment=member.assignment,
    )


# --- ListGroups


def list_groups(broker: Broker, context: RequestContext, request: Message) -> Message:
    states = {each.strip().lower() for each in request.states_filter}
    types = {each.strip().lower() for each in request.types_filter}
    listed = [
        _listed(group)
        for group in broker.groups.groups.values()
        if (not states or group.state.value.lower() in states) and (not types or CLASSIC in types)
    ]
    return Message(error_code=ErrorCode.NONE, groups=listed)


def _listed(group: Group) -> Message:
    return Message(
        group_id=group.group_id,
        protocol_type=group.protocol_type or "",
        group_state=group.state.value,
        group_type=CLASSIC,
    )


# --- DeleteGroups


async def delete_groups(broker: Broker, context: RequestContext, request: Message) -> Message:
    names = list(dict.fromkeys(request.groups_names))
    try:
        codes = await _delete(broker, names)
    except KafkaError as refusal:
        codes = [refusal_of(refusal.code)] * len(names)
    return Message(results=[Message(group_id=name, error_code=code) for name, code in zip(names, codes, strict=True)])


async def _delete(broker: Broker, names: list[str]) -> list[ErrorCode]:
    broker.groups.check_open()
    found = [broker.groups.groups.get(name) for name in names]
    codes = [check_delete_group(group) for group in found]
    empty = [group for group, code in zip(found, codes, strict=True) if group is not None and not code]
    if empty:
        await broker.groups.delete(empty)
    return codes


HANDLERS: dict[ApiKey, Handler] = {
    ApiKey.DESCRIBE_GROUPS: describe_groups,
    ApiKey.LIST_GROUPS: list_groups,
    ApiKey.DELETE_GROUPS: delete_groups,
}
