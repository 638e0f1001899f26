"""The whole supported surface on one screen: which APIs this broker answers, in which versions.

`SUPPORTED` is what `ApiVersions` advertises, and nothing may stand in it that is not implemented in full.  Its
minima are Kafka 4.3.1's, because older librdkafka switches features by them.  Produce is advertised from 0 as
Kafka 4 does (librdkafka takes its absence for a broker without compression), yet its versions 0 to 2 have no schema
any more: who sends them loses the connection.
"""

from __future__ import annotations

from .api_keys import ApiKey, flexible_since, is_flexible, request_header_version, response_header_version
from .values import dataclass

__all__ = (
    "SUPPORTED",
    "Api",
    "ApiKey",
    "flexible_since",
    "is_flexible",
    "request_header_version",
    "response_header_version",
)


@dataclass(frozen=True, slots=True)
class Api:
    """One API as this broker advertises it; both versions are inclusive."""

    key: ApiKey
    min_version: int
    max_version: int
    flexible_since: int | None


def _table(*rows: tuple[ApiKey, int, int]) -> dict[ApiKey, Api]:
    return {key: Api(key, low, high, flexible_since(key)) for key, low, high in rows}


SUPPORTED: dict[ApiKey, Api] = _table(
    (ApiKey.PRODUCE, 0, 13),
    (ApiKey.FETCH, 4, 18),
    (ApiKey.LIST_OFFSETS, 1, 11),
    (ApiKey.METADATA, 0, 13),
    (ApiKey.OFFSET_COMMIT, 2, 10),
    (ApiKey.OFFSET_FETCH, 1, 10),
    (ApiKey.FIND_COORDINATOR, 0, 6),
    (ApiKey.JOIN_GROUP, 0, 9),
    (ApiKey.HEARTBEAT, 0, 4),
    (ApiKey.LEAVE_GROUP, 0, 5),
    (ApiKey.SYNC_GROUP, 0, 5),
    (ApiKey.DESCRIBE_GROUPS, 0, 6),
    (ApiKey.LIST_GROUPS, 0, 5),
    (ApiKey.API_VERSIONS, 0, 4),
    (ApiKey.CREATE_TOPICS, 2, 7),
    (ApiKey.DELETE_TOPICS, 1, 6),
    (ApiKey.DELETE_RECORDS, 0, 2),
    (ApiKey.INIT_PRODUCER_ID, 0, 5),
    (ApiKey.OFFSET_FOR_LEADER_EPOCH, 2, 4),
    (ApiKey.ADD_PARTITIONS_TO_TXN, 0, 5),
    (ApiKey.ADD_OFFSETS_TO_TXN, 0, 4),
    (ApiKey.END_TXN, 0, 5),
    (ApiKey.WRITE_TXN_MARKERS, 1, 2),
    (ApiKey.TXN_OFFSET_COMMIT, 0, 5),
    (ApiKey.DESCRIBE_CONFIGS, 1, 4),
    (ApiKey.ALTER_CONFIGS, 0, 2),
    (ApiKey.ALTER_REPLICA_LOG_DIRS, 1, 2),
    (ApiKey.DESCRIBE_LOG_DIRS, 1, 5),
    (ApiKey.CREATE_PARTITIONS, 0, 3),
    (ApiKey.DELETE_GROUPS, 0, 2),
    (ApiKey.ELECT_LEADERS, 0, 2),
    (ApiKey.INCREMENTAL_ALTER_CONFIGS, 0, 1),
    (ApiKey.ALTER_PARTITION_REASSIGNMENTS, 0, 1),
    (ApiKey.LIST_PARTITION_REASSIGNMENTS, 0, 0),
    (ApiKey.OFFSET_DELETE, 0, 0),
    (ApiKey.DESCRIBE_CLIENT_QUOTAS, 0, 1),
    (ApiKey.ALTER_CLIENT_QUOTAS, 0, 1),
    (ApiKey.DESCRIBE_QUORUM, 0, 2),
    (ApiKey.UPDATE_FEATURES, 0, 2),
    (ApiKey.DESCRIBE_CLUSTER, 0, 2),
    (ApiKey.DESCRIBE_PRODUCERS, 0, 0),
    (ApiKey.DESCRIBE_TRANSACTIONS, 0, 0),
    (ApiKey.LIST_TRANSACTIONS, 0, 2),
    (ApiKey.CONSUMER_GROUP_HEARTBEAT, 0, 1),
    (ApiKey.CONSUMER_GROUP_DESCRIBE, 0, 1),
    (ApiKey.LIST_CONFIG_RESOURCES, 0, 1),
    (ApiKey.DESCRIBE_TOPIC_PARTITIONS, 0, 0),
)
