"""DescribeQuorum: who keeps the cluster's metadata, and how far they are (KIP-595, KIP-836).

Kafka asks this of the partition `__cluster_metadata`-0 and its controllers. Here the metadata is the catalog's journal:
its one voter is this node, which is always caught up, and its offsets are the journal's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from ...protocol.apis import ApiKey
from ...protocol.errors import ErrorCode
from ...protocol.messages import Message
from ..journal import LEADER_EPOCH
from ..topic_names import CLUSTER_METADATA
from .context import Handler, RequestContext

if TYPE_CHECKING:
    from ..app import Broker

NO_DIRECTORY_ID = UUID(int=0)


def describe_quorum(broker: Broker, context: RequestContext, request: Message) -> Message:
    asked = [(topic.topic_name, [each.partition_index for each in topic.partitions]) for topic in request.topics]
    is_known = asked == [(CLUSTER_METADATA, [0])]
    topics = [
        Message(
            topic_name=name,
            partitions=[_metadata(broker, context) if is_known else _not_here(index) for index in indexes],
        )
        for name, indexes in asked
    ]
    return Message(
        error_code=ErrorCode.NONE,
        error_message="",
        topics=topics,
        nodes=[_node(broker, context)] if is_known else [],
    )


def _metadata(broker: Broker, context: RequestContext) -> Message:
    end_offset = broker.journal.end_offset
    voter = Message(
        replica_id=broker.node_id,
        replica_directory_id=NO_DIRECTORY_ID,
        log_end_offset=end_offset,
        last_fetch_timestamp=context.now_ms,
        last_caught_up_timestamp=context.now_ms,
    )
    return Message(
        partition_index=0,
        error_code=ErrorCode.NONE,
        error_message="",
        leader_id=broker.node_id,
        leader_epoch=LEADER_EPOCH,
        high_watermark=end_offset,
        current_voters=[voter],
        observers=[],
    )


def _not_here(index: int) -> Message:
    return Message(
        partition_index=index,
        error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        error_message="This server does not host this topic-partition.",
        current_voters=[],
        observers=[],
    )


def _node(broker: Broker, context: RequestContext) -> Message:
    """There is no listener for controllers alone: administrators are answered where clients are."""
    address = broker.advertised(context)
    return Message(
        node_id=broker.node_id,
        listeners=[Message(name=context.listener, host=address.host, port=address.port)],
    )


HANDLERS: dict[ApiKey, Handler] = {ApiKey.DESCRIBE_QUORUM: describe_quorum}
