"""InitProducerId: an id for an idempotent producer.

Transactions do not exist here yet. A producer with a transactional id is told UNSUPPORTED_VERSION, with which Kafka,
too, answers requests of a feature that is switched off: clients take it for final. COORDINATOR_NOT_AVAILABLE or
NOT_COORDINATOR would be the answers of a broker that has no coordinator at the moment, and clients would look for one
until they time out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...protocol.apis import ApiKey
from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message
from .context import Handler, RequestContext

if TYPE_CHECKING:
    from ..app import Broker

NO_ID = -1
NO_EPOCH = -1
FIRST_EPOCH = 0


async def init_producer_id(broker: Broker, context: RequestContext, request: Message) -> Message:
    """A new id with epoch 0, also for a producer that says it has one: without transactions it need not keep it."""
    try:
        _check(broker, request)
        producer_id = await broker.producer_ids.take()
    except KafkaError as refusal:
        return Message(error_code=refusal.code, producer_id=NO_ID, producer_epoch=NO_EPOCH)
    return Message(error_code=ErrorCode.NONE, producer_id=producer_id, producer_epoch=FIRST_EPOCH)


def _check(broker: Broker, request: Message) -> None:
    """Kafka's checks, in its order."""
    if (request.producer_id == NO_ID) != (request.producer_epoch == NO_EPOCH):
        raise KafkaError(ErrorCode.INVALID_REQUEST, "a producer id comes with its epoch, or neither comes")
    if request.transactional_id is None:
        return
    if not request.transactional_id:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "a transactional id must not be empty")
    if not 0 < request.transaction_timeout_ms <= broker.config.whole("transaction.max.timeout.ms"):
        raise KafkaError(
            ErrorCode.INVALID_TRANSACTION_TIMEOUT, f"a timeout of {request.transaction_timeout_ms} ms is not allowed"
        )
    raise KafkaError(ErrorCode.UNSUPPORTED_VERSION, "transactions are not supported yet")


HANDLERS: dict[ApiKey, Handler] = {ApiKey.INIT_PRODUCER_ID: init_producer_id}
