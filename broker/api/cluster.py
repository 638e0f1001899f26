"""The cluster as clients see it: its nodes and where to reach them, what a client may do; and DescribeCluster."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from ...protocol.apis import ApiKey
from ...protocol.errors import ErrorCode
from ...protocol.messages import Message
from .context import Handler, RequestContext

if TYPE_CHECKING:
    from ..app import Broker


class Permission(IntEnum):
    """Kafka's operations on resources (`AclOperation`); a set of them is sent as a field of bits."""

    READ = 3
    WRITE = 4
    CREATE = 5
    DELETE = 6
    ALTER = 7
    DESCRIBE = 8
    CLUSTER_ACTION = 9
    DESCRIBE_CONFIGS = 10
    ALTER_CONFIGS = 11
    IDEMPOTENT_WRITE = 12


def _bits(*permissions: Permission) -> int:
    return sum(1 << permission for permission in permissions)


# Without an authorizer everybody may do everything that there is to do.
TOPIC_OPERATIONS = _bits(
    Permission.READ,
    Permission.WRITE,
    Permission.CREATE,
    Permission.DELETE,
    Permission.ALTER,
    Permission.DESCRIBE,
    Permission.DESCRIBE_CONFIGS,
    Permission.ALTER_CONFIGS,
)
CLUSTER_OPERATIONS = _bits(
    Permission.CREATE,
    Permission.ALTER,
    Permission.DESCRIBE,
    Permission.CLUSTER_ACTION,
    Permission.DESCRIBE_CONFIGS,
    Permission.ALTER_CONFIGS,
    Permission.IDEMPOTENT_WRITE,
)
OPERATIONS_NOT_ASKED = -(2**31)

NO_CONTROLLER = -1


class EndpointType(IntEnum):
    """What a client believes to have reached (KIP-919)."""

    BROKER = 1
    CONTROLLER = 2


def describe_cluster(broker: Broker, context: RequestContext, request: Message) -> Message:
    asked = request.endpoint_type
    if asked != EndpointType.BROKER:
        return _not_such_an_endpoint(context, asked)
    address = broker.advertised(context)
    node = Message(
        broker_id=broker.node_id,
        host=address.host,
        port=address.port,
        rack=broker.config["broker.rack"],
        is_fenced=False,
    )
    return Message(
        error_code=ErrorCode.NONE,
        error_message=None,
        endpoint_type=EndpointType.BROKER,
        cluster_id=broker.cluster_id,
        controller_id=broker.node_id,
        brokers=[node],
        cluster_authorized_operations=(
            CLUSTER_OPERATIONS if request.include_cluster_authorized_operations else OPERATIONS_NOT_ASKED
        ),
    )


def _not_such_an_endpoint(context: RequestContext, asked: int) -> Message:
    if asked == EndpointType.CONTROLLER:
        code = ErrorCode.MISMATCHED_ENDPOINT_TYPE
        message = "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER"
    else:
        code, message = ErrorCode.UNSUPPORTED_ENDPOINT_TYPE, f"Unsupported endpoint type {asked}"
    return Message(
        error_code=code,
        error_message=message,
        endpoint_type=EndpointType.BROKER,
        cluster_id="",
        controller_id=NO_CONTROLLER,
        brokers=[],
        cluster_authorized_operations=OPERATIONS_NOT_ASKED,
    )


HANDLERS: dict[ApiKey, Handler] = {ApiKey.DESCRIBE_CLUSTER: describe_cluster}
