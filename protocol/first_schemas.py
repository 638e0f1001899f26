"""ApiVersions and Metadata, with which every client begins, declared here instead of read from kio.

What a broker is asked first should not wait for kio's modules of three versions and what they import: 40 ms of a start that
takes 200. The form is that of records in internal topics (`record_schemas`), and a test holds every version against kio's.
"""

from __future__ import annotations

from collections.abc import Sequence

from .api_keys import ApiKey
from .errors import MalformedMessage
from .record_schemas import RecordField, field, struct_of, structs
from .schemas import Direction, Struct
from .values import dataclass

_NOT_ASKED = -(2**31)
"""Operations that are allowed, where they were not asked for."""


@dataclass(frozen=True, slots=True)
class _Declared:
    """One message in all its versions."""

    name: str
    versions: range
    flexible_from: int
    fields: Sequence[RecordField]


_API_VERSIONS_REQUEST = _Declared(
    "ApiVersionsRequest",
    range(5),
    3,
    [
        field("client_software_name", "string", since=3),
        field("client_software_version", "string", since=3),
    ],
)

_API_VERSIONS_RESPONSE = _Declared(
    "ApiVersionsResponse",
    range(5),
    3,
    [
        field("error_code", "error_code"),
        structs("api_keys", [field("api_key", "int16"), field("min_version", "int16"), field("max_version", "int16")]),
        field("throttle_time_ms", "int32", since=1),
        structs(
            "supported_features",
            [field("name", "string"), field("min_version", "int16"), field("max_version", "int16")],
            since=3,
            tag=0,
        ),
        field("finalized_features_epoch", "int64", since=3, tag=1, default=-1),
        structs(
            "finalized_features",
            [field("name", "string"), field("max_version_level", "int16"), field("min_version_level", "int16")],
            since=3,
            tag=2,
        ),
        field("zk_migration_ready", "bool", since=3, tag=3),
    ],
)

_METADATA_REQUEST = _Declared(
    "MetadataRequest",
    range(14),
    9,
    [
        structs("topics", [field("topic_id", "uuid", since=10), field("name", "string", nullable_since=10)], nullable_since=1),
        field("allow_auto_topic_creation", "bool", since=4, default=True),
        field("include_cluster_authorized_operations", "bool", since=8, until=10),
        field("include_topic_authorized_operations", "bool", since=8),
    ],
)  # fmt: skip

_METADATA_PARTITION = [
    field("error_code", "error_code"),
    field("partition_index", "int32"),
    field("leader_id", "int32"),
    field("leader_epoch", "int32", since=7, default=-1),
    field("replica_nodes", "int32", is_array=True),
    field("isr_nodes", "int32", is_array=True),
    field("offline_replicas", "int32", since=5, is_array=True),
]

_METADATA_TOPIC = [
    field("error_code", "error_code"),
    field("name", "string", nullable_since=12),
    field("topic_id", "uuid", since=10),
    field("is_internal", "bool", since=1),
    structs("partitions", _METADATA_PARTITION),
    field("topic_authorized_operations", "int32", since=8, default=_NOT_ASKED),
]

_METADATA_RESPONSE = _Declared(
    "MetadataResponse",
    range(14),
    9,
    [
        field("throttle_time_ms", "int32", since=3),
        structs(
            "brokers",
            [
                field("node_id", "int32"),
                field("host", "string"),
                field("port", "int32"),
                field("rack", "string", since=1, is_nullable=True, default=None),
            ],
        ),
        field("cluster_id", "string", since=2, is_nullable=True, default=None),
        field("controller_id", "int32", since=1, default=-1),
        structs("topics", _METADATA_TOPIC),
        field("cluster_authorized_operations", "int32", since=8, until=10, default=_NOT_ASKED),
        field("error_code", "error_code", since=13),
    ],
)

_DECLARED: dict[tuple[int, Direction], _Declared] = {
    (ApiKey.API_VERSIONS, Direction.REQUEST): _API_VERSIONS_REQUEST,
    (ApiKey.API_VERSIONS, Direction.RESPONSE): _API_VERSIONS_RESPONSE,
    (ApiKey.METADATA, Direction.REQUEST): _METADATA_REQUEST,
    (ApiKey.METADATA, Direction.RESPONSE): _METADATA_RESPONSE,
}


def declared(key: int, version: int, direction: Direction) -> Struct | None:
    """The message, if it is one of these; MalformedMessage if it has no such version."""
    message = _DECLARED.get((key, direction))
    if message is None:
        return None
    if version not in message.versions:
        raise MalformedMessage(f"{ApiKey(key).name} has no version {version}")
    return struct_of(message.name, message.fields, version, is_flexible=version >= message.flexible_from)
