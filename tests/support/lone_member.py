"""A consumer group's only member, as far as the coordinator can tell: joined, with an assignment, and silent since.

member = await LoneMember.join(address, "g", {"t": (0, 1)})
...                                        # the group is Stable, until its session of `session_s` is over
await member.close()                       # leaves nothing but an open session
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ottla.client.address import Address
from ottla.client.connection import Connection
from ottla.protocol.apis import ApiKey
from ottla.protocol.consumer_protocol import Assignment, Subscription, encode_assignment, encode_subscription
from ottla.protocol.errors import ErrorCode
from ottla.protocol.messages import Message

ASSIGNOR = "range"


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

    async def close(self) -> None:
        await self.connection.close()
