"""Every handler by its API: what `ApiVersions` advertises is what stands here, Produce and Fetch aside."""

from functools import reduce

from ...protocol.apis import ApiKey
from . import (
    alter_configs,
    api_versions,
    client_quotas,
    cluster,
    config_resources,
    consumer_groups,
    describe_configs,
    features,
    find_coordinator,
    group_membership,
    group_offsets,
    groups_admin,
    leader_epochs,
    list_offsets,
    log_dirs,
    metadata,
    partitions_admin,
    producer_ids,
    producers,
    quorum,
    records_admin,
    replicas,
    topic_partitions,
    topics,
    transactions,
    transactions_admin,
    txn_offset_commit,
)
from .context import Handler

_FAMILIES = (
    alter_configs,
    api_versions,
    client_quotas,
    cluster,
    config_resources,
    consumer_groups,
    describe_configs,
    features,
    find_coordinator,
    group_membership,
    group_offsets,
    groups_admin,
    leader_epochs,
    list_offsets,
    log_dirs,
    metadata,
    partitions_admin,
    producer_ids,
    producers,
    quorum,
    records_admin,
    replicas,
    topic_partitions,
    topics,
    transactions,
    transactions_admin,
    txn_offset_commit,
)

HANDLERS: dict[ApiKey, Handler] = reduce(lambda all_, family: all_ | family.HANDLERS, _FAMILIES, {})
