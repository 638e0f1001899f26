"""FindCoordinator: which node to ask about a group or a transactional id. A cluster of one node has one answer.

Whoever looks for a coordinator needs the topic that it keeps its state in: the first one has it made (`internal_topics`).
Share groups are refused as Kafka does where they are switched off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...protocol.apis import ApiKey
from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message
from ..topic_names import CONSUMER_OFFSETS, TRANSACTION_STATE
from .context import Handler, RequestContext

if TYPE_CHECKING:
    from ..app import Broker

KEYS_FROM = 4
"""Several keys at once from this version on."""
GROUP, TRANSACTION = 0, 1
TOPICS = {GROUP: CONSUMER_OFFSETS, TRANSACTION: TRANSACTION_STATE}
NO_NODE = -1
MALFORMED = (
    "This most likely occurs because of a request being malformed by the client library or the message was sent to an "
    "incompatible broker. See the broker logs for more details."
)
"""Kafka's sentence for INVALID_REQUEST."""


async def find_coordinator(broker: Broker, context: RequestContext, request: Message) -> Message:
    found = await _coordinator(broker, context, request)
    if context.api_version >= KEYS_FROM:
        return Message(coordinators=[Message(key=key, **vars(found)) for key in request.coordinator_keys])
    if found.error_code is ErrorCode.NONE:
        found.error_message = "NONE"  # as Kafka in these versions
    return found


async def _coordinator(broker: Broker, context: RequestContext, request: Message) -> Message:
    topic = TOPICS.get(request.key_type)
    if topic is None:
        return _nobody(ErrorCode.INVALID_REQUEST, MALFORMED)
    try:
        await broker.internal_topics.ensure(topic)
    except KafkaError as refusal:
        return _nobody(refusal.code, refusal.message)
    address = broker.advertised(context)
    return Message(
        error_code=ErrorCode.NONE,
        error_message="",
        node_id=broker.node_id,
        host=address.host,
        port=address.port,
    )


def _nobody(code: ErrorCode, message: str) -> Message:
    return Message(error_code=code, error_message=message, node_id=NO_NODE, host="", port=NO_NODE)


HANDLERS: dict[ApiKey, Handler] = {ApiKey.FIND_COORDINATOR: find_coordinator}
