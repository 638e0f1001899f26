"""Which module of this folder answers which API; what `ApiVersions` advertises is what stands here, Produce and Fetch aside.

A module is imported when its first request comes, in a thread (see `dispatch`): all of them together are half of what a
broker can load, and hardly a client uses more than a few. That the table says what the modules say is held by a test.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from ...protocol.apis import ApiKey
from .context import Handler, LeaveLane

_COORDINATION = "..coordination"

FAMILIES: dict[ApiKey, str] = {
    ApiKey.ADD_OFFSETS_TO_TXN: "transactions",
    ApiKey.ADD_PARTITIONS_TO_TXN: "transactions",
    ApiKey.ALTER_CLIENT_QUOTAS: "client_quotas",
    ApiKey.ALTER_CONFIGS: "alter_configs",
    ApiKey.ALTER_PARTITION_REASSIGNMENTS: "replicas",
    ApiKey.ALTER_REPLICA_LOG_DIRS: "log_dirs",
    ApiKey.API_VERSIONS: "api_versions",
    ApiKey.CONSUMER_GROUP_DESCRIBE: "consumer_groups",
    ApiKey.CONSUMER_GROUP_HEARTBEAT: "consumer_groups",
    ApiKey.CREATE_PARTITIONS: "partitions_admin",
    ApiKey.CREATE_TOPICS: "topics",
    ApiKey.DELETE_GROUPS: "groups_admin",
    ApiKey.DELETE_RECORDS: "records_admin",
    ApiKey.DELETE_TOPICS: "topics",
    ApiKey.DESCRIBE_CLIENT_QUOTAS: "client_quotas",
    ApiKey.DESCRIBE_CLUSTER: "cluster",
    ApiKey.DESCRIBE_CONFIGS: "describe_configs",
    ApiKey.DESCRIBE_GROUPS: "groups_admin",
    ApiKey.DESCRIBE_LOG_DIRS: "log_dirs",
    ApiKey.DESCRIBE_PRODUCERS: "producers",
    ApiKey.DESCRIBE_QUORUM: "quorum",
    ApiKey.DESCRIBE_TOPIC_PARTITIONS: "topic_partitions",
    ApiKey.DESCRIBE_TRANSACTIONS: "transactions_admin",
    ApiKey.ELECT_LEADERS: "replicas",
    ApiKey.END_TXN: "transactions",
    ApiKey.FIND_COORDINATOR: "find_coordinator",
    ApiKey.HEARTBEAT: "group_membership",
    ApiKey.INCREMENTAL_ALTER_CONFIGS: "alter_configs",
    ApiKey.INIT_PRODUCER_ID: "producer_ids",
    ApiKey.JOIN_GROUP: "group_membership",
    ApiKey.LEAVE_GROUP: "group_membership",
    ApiKey.LIST_CONFIG_RESOURCES: "config_resources",
    ApiKey.LIST_GROUPS: "groups_admin",
    ApiKey.LIST_OFFSETS: "list_offsets",
    ApiKey.LIST_PARTITION_REASSIGNMENTS: "replicas",
    ApiKey.LIST_TRANSACTIONS: "transactions_admin",
    ApiKey.METADATA: "metadata",
    ApiKey.OFFSET_COMMIT: "offset_commit",
    ApiKey.OFFSET_DELETE: "group_offsets",
    ApiKey.OFFSET_FETCH: "group_offsets",
    ApiKey.OFFSET_FOR_LEADER_EPOCH: "leader_epochs",
    ApiKey.SYNC_GROUP: "group_membership",
    ApiKey.TXN_OFFSET_COMMIT: "txn_offset_commit",
    ApiKey.UPDATE_FEATURES: "features",
    ApiKey.WRITE_TXN_MARKERS: "transactions_admin",
}

WITH_COORDINATORS = frozenset(
    {
        "consumer_groups",
        "find_coordinator",
        "group_membership",
        "group_offsets",
        "groups_admin",
        "offset_commit",
        "transactions",
        "transactions_admin",
        "txn_offset_commit",
    }
)
"""Modules whose handlers need the coordinators at once. One that needs them at times only is not here: it may wait then."""


LANES: dict[ApiKey, str] = {ApiKey.OFFSET_COMMIT: "offset_commit_again"}
"""Modules that leave a lane with a connection for requests like one that was taken (`connection.Lane`)."""


def load(key: ApiKey) -> Handler:
    """The handler of an API, with all that it needs imported. Takes up to 100 ms the first time; any thread."""
    family = FAMILIES[key]
    if family in WITH_COORDINATORS:
        import_module(_COORDINATION, __package__)
    handler: Handler = module_of(family).HANDLERS[key]
    return handler


def load_lane(key: ApiKey) -> LeaveLane | None:
    """What leaves a lane for this API's requests, if anything does; the same times."""
    family = LANES.get(key)
    if family is None:
        return None
    leave: LeaveLane = module_of(family).leave_lane
    return leave


def module_of(family: str) -> ModuleType:
    """The module of this name, imported."""
    return import_module(f".{family}", __package__)
