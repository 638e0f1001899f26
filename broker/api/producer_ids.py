"""InitProducerId: an id for an idempotent producer; for a transactional one its id, and an epoch that fences all before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...protocol.apis import ApiKey
from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message
from ..coordinators.transactions.transaction import ProducerIdAndEpoch
from .context import Handler, RequestContext
from .transactions import fenced_as

if TYPE_CHECKING:
    from ..app import Broker

NO_ID = -1
NO_EPOCH = -1
FIRST_EPOCH = 0
FENCED_FROM = 4
"""PRODUCER_FENCED is known from this version on."""


async def init_producer_id(broker: Broker, context: RequestContext, request: Message) -> Message:
    """Without a transactional id always a new producer id with epoch 0, also for a producer that says it has one."""
    try:
        producer_id, epoch = await _init(broker, request)
    except KafkaError as refusal:
        code = fenced_as(refusal.code, context.api_version, known_from=FENCED_FROM)
        return Message(error_code=code, producer_id=NO_ID, producer_epoch=NO_EPOCH)
    return Message(error_code=ErrorCode.NONE, producer_id=producer_id, producer_epoch=epoch)


async def _init(broker: Broker, request: Message) -> ProducerIdAndEpoch:
    if (request.producer_id == NO_ID) != (request.producer_epoch == NO_EPOCH):
        raise KafkaError(ErrorCode.INVALID_REQUEST, "a producer id comes with its epoch, or neither comes")
    if request.transactional_id is None:
        return ProducerIdAndEpoch(await broker.producer_ids.take(), FIRST_EPOCH)
    expected = ProducerIdAndEpoch(request.producer_id, request.producer_epoch) if request.producer_id != NO_ID else None
    return await broker.transactions.init_producer_id(
        request.transactional_id, request.transaction_timeout_ms, expected
    )


HANDLERS: dict[ApiKey, Handler] = {ApiKey.INIT_PRODUCER_ID: init_producer_id}
