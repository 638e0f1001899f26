"""Groups: list, describe, delete, remove members; of the classic protocol and of the new one (KIP-848) alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from ...protocol.apis import ApiKey
from ...protocol.consumer_protocol import PROTOCOL_TYPE, decode_assignment
from ...protocol.errors import ErrorCode, KafkaError, MalformedMessage
from ...protocol.messages import Message
from ..address import Address
from ..connection import Connection
from . import arguments
from .asking import AdminPart, can_ask
from .cluster_values import BrokerAddress
from .group_values import GroupDescription, GroupListing, GroupMember, RemovedMember
from .values import TopicPartition, raise_if_refused, refusal

CLASSIC, CONSUMER = "classic", "consumer"
DEAD = "Dead"
_NOT_OF_THIS_KIND = frozenset({ErrorCode.GROUP_ID_NOT_FOUND, ErrorCode.UNSUPPORTED_VERSION})


class GroupsAdmin(AdminPart):
    """What an administrator does with groups."""

    async def list_groups(self, *, states: Iterable[str] = (), types: Iterable[str] = ()) -> list[GroupListing]:
        """All groups by id, or those in these states and of these types.

        Brokers that cannot filter tell all, and we choose.  KafkaError when a broker does not know its groups yet.
        """
        states, types = arguments.names(states, "states"), arguments.names(types, "types")
        wanted_states, wanted_types = _lower(states), _lower(types)
        request = Message(states_filter=states, types_filter=types)
        found: dict[str, GroupListing] = {}
        for answer in (await self._asking.every_node(ApiKey.LIST_GROUPS, request)).values():
            raise_if_refused(answer.error_code, None)
            for each in answer.groups:
                found[each.group_id] = GroupListing(
                    each.group_id, each.protocol_type, each.group_state, each.group_type
                )
        return [
            each
            for _, each in sorted(found.items())
            if (not wanted_states or each.state.lower() in wanted_states)
            and (not wanted_types or each.type.lower() in wanted_types)
        ]

    async def describe_groups(self, ids: Iterable[str]) -> dict[str, GroupDescription | KafkaError]:
        """Each of these groups; GROUP_ID_NOT_FOUND for one that does not exist."""
        wanted = arguments.names(ids, "ids")
        nodes = await self._brokers()

        async def ask(connection: Connection, groups: Sequence[str]) -> Mapping[str, GroupDescription | KafkaError]:
            coordinator = nodes.get(connection.address) or _unknown(connection.address)
            return await _describe(connection, groups, coordinator)

        return await self._asking.coordinators(wanted, ask)

    async def delete_groups(self, ids: Iterable[str]) -> dict[str, KafkaError | None]:
        """Delete groups without members, and what they committed; None says that it is done."""

        async def ask(connection: Connection, groups: Sequence[str]) -> Mapping[str, KafkaError | None]:
            answer = await connection.request(ApiKey.DELETE_GROUPS, Message(groups_names=list(groups)))
            return {each.group_id: refusal(each.error_code) for each in answer.results}

        return await self._asking.coordinators(arguments.names(ids, "ids"), ask)

    async def remove_members(
        self, group: str, members: Iterable[RemovedMember] | None = None, *, reason: str = "removed by an administrator"
    ) -> dict[RemovedMember, KafkaError | None]:
        """Remove members from a group of the classic protocol, these or with None all.  KafkaError if refused."""
        arguments.name(group, "group")
        arguments.name(reason, "reason")
        wanted = await self._all_members(group) if members is None else _members(members)
        if not wanted:
            return {}

        async def ask(connection: Connection, groups: Sequence[str]) -> Mapping[str, list[Message] | KafkaError]:
            leaving = [
                Message(member_id=each.member_id, group_instance_id=each.instance_id, reason=reason) for each in wanted
            ]
            answer = await connection.request(ApiKey.LEAVE_GROUP, Message(group_id=group, members=leaving))
            return {group: refusal(answer.error_code) or answer.members}

        answered = (await self._asking.coordinators([group], ask))[group]
        if isinstance(answered, KafkaError):
            raise answered
        return dict(zip(wanted, (refusal(each.error_code) for each in answered), strict=True))

    async def _all_members(self, group: str) -> list[RemovedMember]:
        described = (await self.describe_groups([group]))[group]
        if isinstance(described, KafkaError):
            raise described
        return [
            RemovedMember(each.id) if each.instance_id is None else RemovedMember(instance_id=each.instance_id)
            for each in described.members
        ]

    async def _brokers(self) -> dict[Address, BrokerAddress]:
        metadata = await self._asking.metadata([])
        return {
            Address(each.host, each.port): BrokerAddress(each.node_id, each.host, each.port, each.rack)
            for each in metadata.brokers
        }


def _members(given: Iterable[RemovedMember]) -> list[RemovedMember]:
    members = arguments.several(given, "members")
    for each in members:
        arguments.instance(each, RemovedMember, "one of members")
        arguments.name(each.member_id, "member_id of a RemovedMember")
        if each.instance_id is not None:
            arguments.name(each.instance_id, "instance_id of a RemovedMember")
    return members


def _lower(words: Iterable[str]) -> set[str]:
    return {word.lower() for word in words}


def _unknown(address: Address) -> BrokerAddress:
    """A coordinator that came after the metadata was asked for."""
    return BrokerAddress(-1, address.host, address.port, None)


# -- describing


async def _describe(
    connection: Connection, groups: Sequence[str], coordinator: BrokerAddress
) -> dict[str, GroupDescription | KafkaError]:
    """First as groups of the new protocol, and those that are not among them as classic ones."""
    outcomes: dict[str, GroupDescription | KafkaError] = {}
    if can_ask(connection, ApiKey.CONSUMER_GROUP_DESCRIBE):
        request = Message(group_ids=list(groups), include_authorized_operations=False)
        answer = await connection.request(ApiKey.CONSUMER_GROUP_DESCRIBE, request)
        outcomes = _outcomes(answer, coordinator, _consumer_group)
    left = [each for each in groups if _is_not_of_this_kind(outcomes.get(each))]
    if left:
        answer = await connection.request(ApiKey.DESCRIBE_GROUPS, Message(groups=left))
        outcomes |= _outcomes(answer, coordinator, _classic_group)
    return outcomes


def _is_not_of_this_kind(outcome: GroupDescription | KafkaError | None) -> bool:
    return outcome is None or (isinstance(outcome, KafkaError) and outcome.code in _NOT_OF_THIS_KIND)


def _outcomes(
    answer: Message,
    coordinator: BrokerAddress,
    described: Callable[[Message, BrokerAddress], GroupDescription | KafkaError],
) -> dict[str, GroupDescription | KafkaError]:
    return {
        each.group_id: refusal(each.error_code, each.error_message) or described(each, coordinator)
        for each in answer.groups
    }


def _classic_group(group: Message, coordinator: BrokerAddress) -> GroupDescription | KafkaError:
    if group.group_state == DEAD:  # how versions before 6 say it
        return KafkaError(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group.group_id} not found.")
    is_of_consumers = group.protocol_type in ("", PROTOCOL_TYPE)
    return GroupDescription(
        id=group.group_id,
        type=CLASSIC,
        state=group.group_state,
        protocol_type=group.protocol_type,
        assignor=group.protocol_data,
        members=tuple(
            GroupMember(
                id=each.member_id,
                instance_id=each.group_instance_id,
                client_id=each.client_id,
                host=each.client_host,
                assignment=_assigned(each.member_assignment) if is_of_consumers else None,
            )
            for each in group.members
        ),
        coordinator=coordinator,
    )


def _assigned(data: bytes) -> tuple[TopicPartition, ...] | None:
    try:
        partitions = decode_assignment(bytes(data)).partitions
    except MalformedMessage:
        return None
    return tuple(sorted(TopicPartition(topic, index) for topic, indexes in partitions.items() for index in indexes))


def _consumer_group(group: Message, coordinator: BrokerAddress) -> GroupDescription:
    return GroupDescription(
        id=group.group_id,
        type=CONSUMER,
        state=group.group_state,
        protocol_type=PROTOCOL_TYPE,
        assignor=group.assignor_name,
        members=tuple(map(_consumer_member, group.members)),
        coordinator=coordinator,
        epoch=group.group_epoch,
        assignment_epoch=group.assignment_epoch,
    )


def _consumer_member(member: Message) -> GroupMember:
    return GroupMember(
        id=member.member_id,
        instance_id=member.instance_id,
        client_id=member.client_id,
        host=member.client_host,
        assignment=_partitions(member.assignment),
        epoch=member.member_epoch,
        target=_partitions(member.target_assignment),
        topics=tuple(member.subscribed_topic_names),
    )


def _partitions(assignment: Message) -> tuple[TopicPartition, ...]:
    topics = assignment.topic_partitions
    return tuple(sorted(TopicPartition(each.topic_name, index) for each in topics for index in each.partitions))
