"""JoinGroup, SyncGroup, Heartbeat, LeaveGroup: the requests by which members of a classic group keep together.

Here versions are told apart and requests checked that no group needs to be looked at for; what they mean to a group is in
`coordinators`. Joins and syncs wait for the other members, and as in Kafka the connection's next request waits
with them.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from ...protocol.apis import ApiKey
from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message
from ..coordinators.coordinator import GroupCoordinator
from ..coordinators.joining import Join
from ..coordinators.refusals import refusal_of
from ..coordinators.turn import join_refused, sync_refused
from .context import Handler, RequestContext

if TYPE_CHECKING:
    from ..app import Broker

REBALANCE_TIMEOUT_FROM = 1
KNOWN_ID_FROM = 4
NULL_PROTOCOL_FROM = 7
SKIP_ASSIGNMENT_FROM = 9
PROTOCOL_IN_SYNC_FROM = 5
LEAVE_TOGETHER_FROM = 3


# --- JoinGroup


async def join_group(broker: Broker, context: RequestContext, request: Message) -> Message:
    try:
        _check_join(broker.groups, request)
        answer = await broker.groups.join(request.group_id, _join(context, request))
    except KafkaError as refusal:
        answer = join_refused(refusal_of(refusal.code), request.member_id)
    if context.api_version < NULL_PROTOCOL_FROM and answer.protocol_name is None:
        answer.protocol_name = ""
    return answer


def _check_join(groups: GroupCoordinator, request: Message) -> None:
    groups.check_open()
    _check_group_id(request.group_id)
    lowest, highest = groups.settings.min_session_timeout_ms, groups.settings.max_session_timeout_ms
    if not lowest <= request.session_timeout_ms <= highest:
        raise KafkaError(
            ErrorCode.INVALID_SESSION_TIMEOUT,
            f"a session timeout of {request.session_timeout_ms} ms is not within {lowest} to {highest} ms",
        )


def _check_group_id(group_id: str) -> None:
    if not group_id:
        raise KafkaError(ErrorCode.INVALID_GROUP_ID, "a group of members must have a name")


def _join(context: RequestContext, request: Message) -> Join:
    has_rebalance_timeout = context.api_version >= REBALANCE_TIMEOUT_FROM
    return Join(
        member_id=request.member_id,
        instance_id=request.group_instance_id,
        client_id=context.client_id or "",
        client_host=client_host(context),
        rebalance_timeout_ms=request.rebalance_timeout_ms if has_rebalance_timeout else request.session_timeout_ms,
        session_timeout_ms=request.session_timeout_ms,
        protocol_type=request.protocol_type,
        protocols=tuple((each.name, bytes(each.metadata)) for each in request.protocols),
        reason=request.reason or "no reason given",
        new_id=new_member_id(context.client_id if request.group_instance_id is None else request.group_instance_id),
        must_know_its_id=context.api_version >= KNOWN_ID_FROM,
        can_skip_assignment=context.api_version >= SKIP_ASSIGNMENT_FROM,
    )


def new_member_id(name: str | None) -> str:
    """An id that no member has had, with a name that people recognise in front."""
    return f"{name or ''}-{uuid.uuid4()}"


def client_host(context: RequestContext) -> str:
    """The client's address as Kafka's tools show it."""
    return "/" + context.peer.rpartition(":")[0]


# --- SyncGroup


async def sync_group(broker: Broker, context: RequestContext, request: Message) -> Message:
    if context.api_version >= PROTOCOL_IN_SYNC_FROM and None in (request.protocol_type, request.protocol_name):
        return sync_refused(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    try:
        broker.groups.check_open()
        _check_group_id(request.group_id)
        return await broker.groups.sync(request.group_id, request)
    except KafkaError as refusal:
        return sync_refused(refusal.code)


# --- Heartbeat


def heartbeat(broker: Broker, context: RequestContext, request: Message) -> Message:
    try:
        broker.groups.check_open()
        _check_group_id(request.group_id)
        return Message(error_code=broker.groups.heartbeat(request.group_id, request))
    except KafkaError as refusal:
        # A member whose group is still being loaded need not fear for it, as in Kafka.
        loading = refusal.code is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
        return Message(error_code=ErrorCode.NONE if loading else refusal.code)


# --- LeaveGroup


async def leave_group(broker: Broker, context: RequestContext, request: Message) -> Message:
    if context.api_version < LEAVE_TOGETHER_FROM:
        leaving = [Message(member_id=request.member_id, group_instance_id=None)]
    else:
        leaving = request.members
    try:
        broker.groups.check_open()
        _check_group_id(request.group_id)
        codes = await broker.groups.leave(request.group_id, leaving)
    except KafkaError as refusal:
        return Message(error_code=refusal_of(refusal.code), members=[])
    if context.api_version < LEAVE_TOGETHER_FROM:
        return Message(error_code=codes[0])
    members = [
        Message(member_id=each.member_id, group_instance_id=each.group_instance_id, error_code=code)
        for each, code in zip(leaving, codes, strict=True)
    ]
    return Message(error_code=ErrorCode.NONE, members=members)


HANDLERS: dict[ApiKey, Handler] = {
    ApiKey.JOIN_GROUP: join_group,
    ApiKey.SYNC_GROUP: sync_group,
    ApiKey.HEARTBEAT: heartbeat,
    ApiKey.LEAVE_GROUP: leave_group,
}
