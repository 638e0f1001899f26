"""DescribeGroups, ListGroups, DeleteGroups: groups as an administrator sees them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ...protocol.apis import ApiKey
from ...protocol.consumer_protocol import PROTOCOL_TYPE
from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message
from ..coordinators.consumer_groups.group import ConsumerGroup
from ..coordinators.coordinator import GroupCoordinator
from ..coordinators.group import Group, GroupState, Member
from ..coordinators.offsets import check_delete_group
from ..coordinators.refusals import refusal_of
from .context import Handler, RequestContext

if TYPE_CHECKING:
    from ..app import Broker

NOT_FOUND_FROM = 6
"""DescribeGroups tells from this version on that there is no such group, where it was "Dead" before."""
OPERATIONS_NOT_ASKED = -(2**31)
GROUP_OPERATIONS = sum(1 << operation for operation in (3, 6, 8, 10, 11))
"""Read, delete, describe, describe configs, alter configs: without an authorizer everybody may do all of it."""
CLASSIC = "classic"
CONSUMER = "consumer"


# --- DescribeGroups


def describe_groups(broker: Broker, context: RequestContext, request: Message) -> Message:
    described = [_described(broker, context, group_id) for group_id in request.groups]
    if request.include_authorized_operations:
        for each in described:
            if each.error_code is ErrorCode.NONE:
                each.authorized_operations = GROUP_OPERATIONS
    return Message(groups=described)


def _described(broker: Broker, context: RequestContext, group_id: str) -> Message:
    try:
        group = broker.groups.find(group_id)
    except KafkaError as refusal:
        return _without_group(group_id, "", error_code=refusal.code)
    if group is None:
        is_other = broker.groups.find_consumers(group_id) is not None
        return _not_found(
            context, f"Group {group_id} {'is not a classic group' if is_other else 'not found'}.", group_id
        )
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


def _not_found(context: RequestContext, message: str, group_id: str) -> Message:
    says_so = context.api_version >= NOT_FOUND_FROM
    if not says_so:
        return _without_group(group_id, GroupState.DEAD.value)
    return _without_group(
        group_id, GroupState.DEAD.value, error_code=ErrorCode.GROUP_ID_NOT_FOUND, error_message=message
    )


def _without_group(
    group_id: str, state: str, *, error_code: ErrorCode = ErrorCode.NONE, error_message: str | None = None
) -> Message:
    return Message(
        error_code=error_code,
        error_message=error_message,
        group_id=group_id,
        group_state=state,
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
    if broker.groups.runtime.is_loading:
        return Message(error_code=ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, groups=[])
    everything = [_listed(group) for group in broker.groups.classic]
    everything += [_listed_consumers(group) for group in broker.groups.consumers.groups]
    listed = [
        each
        for each in everything
        if (not states or each.group_state.lower() in states) and (not types or each.group_type in types)
    ]
    return Message(error_code=ErrorCode.NONE, groups=listed)


def _listed(group: Group) -> Message:
    return Message(
        group_id=group.group_id,
        protocol_type=group.protocol_type or "",
        group_state=group.state.value,
        group_type=CLASSIC,
    )


def _listed_consumers(group: ConsumerGroup) -> Message:
    return Message(
        group_id=group.group_id,
        protocol_type=PROTOCOL_TYPE,
        group_state=group.state.value,
        group_type=CONSUMER,
    )


# --- DeleteGroups


async def delete_groups(broker: Broker, context: RequestContext, request: Message) -> Message:
    names = list(dict.fromkeys(request.groups_names))
    codes = await asyncio.gather(*(_delete(broker.groups, name) for name in names))
    return Message(results=[Message(group_id=name, error_code=code) for name, code in zip(names, codes, strict=True)])


async def _delete(groups: GroupCoordinator, name: str) -> ErrorCode:
    try:
        consumers = groups.find_consumers(name)
        if consumers is not None and consumers.members:
            return ErrorCode.NON_EMPTY_GROUP
        if consumers is not None:
            await groups.delete_consumers(consumers)
            return ErrorCode.NONE
        group = groups.find(name)
        code = check_delete_group(group)
        if group is not None and code is ErrorCode.NONE:
            await groups.delete(group)
    except KafkaError as refusal:
        return refusal_of(refusal.code)
    return code


HANDLERS: dict[ApiKey, Handler] = {
    ApiKey.DESCRIBE_GROUPS: describe_groups,
    ApiKey.LIST_GROUPS: list_groups,
    ApiKey.DELETE_GROUPS: delete_groups,
}
