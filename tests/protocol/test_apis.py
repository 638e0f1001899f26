"""What we advertise, and what Kafka says of each API."""

import pytest
from kio.index import load_request_schema
from kio.schema.index import api_key_map
from ottla.protocol.apis import (
    SUPPORTED,
    ApiKey,
    flexible_since,
    is_flexible,
    request_header_version,
    response_header_version,
)
from ottla.protocol.errors import MalformedMessage
from ottla.protocol.schemas import versions_of

# What a default Apache Kafka 4.3.1 broker answers to ApiVersions.
KAFKA_4_3_1 = {
    ApiKey.PRODUCE: (0, 13),
    ApiKey.FETCH: (4, 18),
    ApiKey.LIST_OFFSETS: (1, 11),
    ApiKey.METADATA: (0, 13),
    ApiKey.OFFSET_COMMIT: (2, 10),
    ApiKey.OFFSET_FETCH: (1, 10),
    ApiKey.FIND_COORDINATOR: (0, 6),
    ApiKey.JOIN_GROUP: (0, 9),
    ApiKey.HEARTBEAT: (0, 4),
    ApiKey.LEAVE_GROUP: (0, 5),
    ApiKey.SYNC_GROUP: (0, 5),
    ApiKey.DESCRIBE_GROUPS: (0, 6),
    ApiKey.LIST_GROUPS: (0, 5),
    ApiKey.DELETE_GROUPS: (0, 2),
    ApiKey.OFFSET_DELETE: (0, 0),
    ApiKey.API_VERSIONS: (0, 4),
    ApiKey.CREATE_TOPICS: (2, 7),
    ApiKey.DELETE_TOPICS: (1, 6),
    ApiKey.DELETE_RECORDS: (0, 2),
    ApiKey.INIT_PRODUCER_ID: (0, 5),
    ApiKey.OFFSET_FOR_LEADER_EPOCH: (2, 4),
    ApiKey.ADD_PARTITIONS_TO_TXN: (0, 5),
    ApiKey.ADD_OFFSETS_TO_TXN: (0, 4),
    ApiKey.END_TXN: (0, 5),
    ApiKey.WRITE_TXN_MARKERS: (1, 2),
    ApiKey.TXN_OFFSET_COMMIT: (0, 5),
    ApiKey.DESCRIBE_CONFIGS: (1, 4),
    ApiKey.ALTER_CONFIGS: (0, 2),
    ApiKey.DESCRIBE_LOG_DIRS: (1, 5),
    ApiKey.CREATE_PARTITIONS: (0, 3),
    ApiKey.INCREMENTAL_ALTER_CONFIGS: (0, 1),
    ApiKey.ALTER_REPLICA_LOG_DIRS: (1, 2),
    ApiKey.ELECT_LEADERS: (0, 2),
    ApiKey.ALTER_PARTITION_REASSIGNMENTS: (0, 1),
    ApiKey.LIST_PARTITION_REASSIGNMENTS: (0, 0),
    ApiKey.DESCRIBE_CLIENT_QUOTAS: (0, 1),
    ApiKey.ALTER_CLIENT_QUOTAS: (0, 1),
    ApiKey.DESCRIBE_QUORUM: (0, 2),
    ApiKey.UPDATE_FEATURES: (0, 2),
    ApiKey.DESCRIBE_PRODUCERS: (0, 0),
    ApiKey.DESCRIBE_TRANSACTIONS: (0, 0),
    ApiKey.LIST_TRANSACTIONS: (0, 2),
    ApiKey.LIST_CONFIG_RESOURCES: (0, 1),
    ApiKey.DESCRIBE_CLUSTER: (0, 2),
    ApiKey.CONSUMER_GROUP_HEARTBEAT: (0, 1),
    ApiKey.CONSUMER_GROUP_DESCRIBE: (0, 1),
    ApiKey.DESCRIBE_TOPIC_PARTITIONS: (0, 0),
}


def test_what_we_advertise_is_what_kafka_advertises():
    assert {key: (api.min_version, api.max_version) for key, api in SUPPORTED.items()} == KAFKA_4_3_1


def test_every_version_we_advertise_has_a_schema_but_for_produce_below_3():
    for key, api in SUPPORTED.items():
        versions = set(range(api.min_version, api.max_version + 1))
        assert versions - set(versions_of(key)) == (set(range(3)) if key is ApiKey.PRODUCE else set())


def test_keys_have_kafkas_names():
    assert {int(key): key.name.lower() for key in ApiKey} == dict(api_key_map)


@pytest.mark.parametrize("api", ApiKey, ids=lambda api: api.name.lower())
def test_an_api_is_flexible_from_the_version_kafka_says(api: ApiKey):
    for version in versions_of(api):
        assert is_flexible(api, version) == load_request_schema(api, version).__flexible__


def test_the_answer_to_api_versions_has_no_tagged_fields_in_its_header():
    assert [response_header_version(ApiKey.API_VERSIONS, version) for version in range(5)] == [0] * 5
    assert [request_header_version(ApiKey.API_VERSIONS, version) for version in range(5)] == [1, 1, 1, 2, 2]


def test_an_api_that_is_never_flexible_says_so():
    assert flexible_since(ApiKey.SASL_HANDSHAKE) is None
    assert request_header_version(ApiKey.SASL_HANDSHAKE, 1) == 1


@pytest.mark.parametrize("key", [-1, 4, 7, 93, 32767])
def test_an_unknown_key_is_malformed(key: int):
    with pytest.raises(MalformedMessage, match=str(key)):
        is_flexible(key, 0)
