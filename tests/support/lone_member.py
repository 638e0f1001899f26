"""A consumer group's only member, as far as the coordinator can tell: joined, with an assignment, and silent since.

member = await LoneMember.join(address, "g", {"t": (0, 1)})
...                                        # the group is Stable, until its session of `session_s` is over
await member.close()                       # leaves nothing but an open session
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from ottla.client.address import Address
from ottla.client.connection import Connection
from ottla.protocol.apis import ApiKey
from ottla.protocol.consumer_protocol import Assignment, Subscription, encode_assignment, encode_subscription
from ottla.protocol.errors import ErrorCode
from ottla.protocol.messages import Message

ASSIGNOR = "range"
LEAVING = -1


@dataclass(frozen=True, slots=True)
class LoneMember:
    id: str
    connection: Connection

    @classmethod
    async def join(
        cls,
        address: Address,
        group: str,
        partitions: Mapping[str, tuple[int, ...]],
        *,
        client_id: str = "lone",
        instance_id: str | None = None,
        session_s: int = 45,
    ) -> LoneMember:
        connection = await Connection.open(address, client_id=client_id)
        request = Message(
            group_id=group,
            session_timeout_ms=session_s * 1000,
            rebalance_timeout_ms=60_000,
            member_id="",
            group_instance_id=instance_id,
            protocol_type="consumer",
            protocols=[Message(name=ASSIGNOR, metadata=encode_subscription(Subscription(tuple(partitions))))],
        )
        joined = await connection.request(ApiKey.JOIN_GROUP, request)
        if joined.error_code == ErrorCode.MEMBER_ID_REQUIRED:
            request.member_id = joined.member_id
            joined = await connection.request(ApiKey.JOIN_GROUP, request)
        assert joined.error_code == ErrorCode.NONE, joined
        assignment = encode_assignment(Assignment(dict(partitions)))
        synced = await connection.request(
            ApiKey.SYNC_GROUP,
            Message(
                group_id=group,
                generation_id=joined.generation_id,
                member_id=joined.member_id,
                group_instance_id=instance_id,
                protocol_type="consumer",
                protocol_name=ASSIGNOR,
                assignments=[Message(member_id=joined.member_id, assignment=assignment)],
            ),
        )
        assert synced.error_code == ErrorCode.NONE, synced
        return cls(joined.member_id, connection)

    @classmethod
    async def join_consumer_group(
        cls, address: Address, group: str, partitions: Mapping[str, tuple[int, ...]], *, client_id: str = "lone"
    ) -> LoneMember:
        """By the new protocol (KIP-848), where the coordinator assigns: `partitions` is what it must come to."""
        connection = await Connection.open(address, client_id=client_id)
        member_id = str(uuid.uuid4())

        async def beat(epoch: int, **fields: object) -> Message:
            request = Message(group_id=group, member_id=member_id, member_epoch=epoch, **fields)
            answer = await connection.request(ApiKey.CONSUMER_GROUP_HEARTBEAT, request)
            assert answer.error_code == ErrorCode.NONE, answer
            return answer

        topics = list(partitions)
        joined = await beat(0, rebalance_timeout_ms=60_000, subscribed_topic_names=topics, topic_partitions=[])
        owned = joined.assignment.topic_partitions
        assert sorted(tuple(each.partitions) for each in owned) == sorted(partitions.values()), joined
        mine = [Message(topic_id=each.topic_id, partitions=each.partitions) for each in owned]
        await beat(joined.member_epoch, topic_partitions=mine)
        return cls(member_id, connection)

    async def close(self) -> None:
        await self.connection.close()


async def leave_consumer_group(address: Address, group: str, member_id: str) -> None:
    """Send a member of the new protocol away, as only it could."""
    connection = await Connection.open(address)
    await connection.request(
        ApiKey.CONSUMER_GROUP_HEARTBEAT, Message(group_id=group, member_id=member_id, member_epoch=LEAVING)
    )
    await connection.close()
