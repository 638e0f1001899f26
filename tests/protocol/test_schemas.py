"""What is read from kio's schemas: one shape across versions, Kafka's names and Kafka's defaults."""

from __future__ import annotations

import pytest
from ottla.protocol import schemas
from ottla.protocol.apis import ApiKey
from ottla.protocol.schemas import ZERO_UUID, Direction, Field, Struct, load, versions_of

ALL = [(api, direction) for api in ApiKey for direction in Direction]
every_message = pytest.mark.parametrize(("api", "direction"), ALL, ids=lambda each: each.name.lower())


def paths(struct: Struct, above: str = "") -> set[str]:
    """The fields of all versions, with those of the structs in them."""
    found = set()
    for field in struct.all_fields:
        found.add(above + field.name)
        if field.struct is not None:
            found |= paths(field.struct, f"{above}{field.name}.")
    return found


def field_of(api: ApiKey, version: int, direction: Direction, path: str) -> Field:
    struct = load(api, version, direction)
    *parents, last = path.split(".")
    for name in parents:
        inner = next(field for field in struct.all_fields if field.name == name).struct
        assert inner is not None
        struct = inner
    return next(field for field in struct.all_fields if field.name == last)


@every_message
def test_the_versions_that_are_read_have_the_fields_of_all(api: ApiKey, direction: Direction):
    every_version = [paths(schemas._read_message(api, version, direction)) for version in versions_of(api)]
    for version in versions_of(api):
        assert paths(load(api, version, direction)) == set().union(*every_version)


@every_message
def test_a_field_has_one_kind_and_one_default_in_all_versions(api: ApiKey, direction: Direction):
    seen: dict[str, tuple[object, ...]] = {}
    for version in versions_of(api):
        for field in load(api, version, direction).all_fields:
            default = field.default if field.struct is None or field.default in (None, ()) else "struct"
            assert seen.setdefault(field.name, (field.kind, field.is_array, default)) == (
                field.kind,
                field.is_array,
                default,
            )


@pytest.mark.parametrize(
    ("api", "direction", "path", "default"),
    [
        (ApiKey.METADATA, Direction.REQUEST, "allow_auto_topic_creation", True),
        (ApiKey.METADATA, Direction.REQUEST, "topics", ()),
        (ApiKey.METADATA, Direction.REQUEST, "topics.topic_id", ZERO_UUID),
        (ApiKey.METADATA, Direction.REQUEST, "topics.name", ""),
        (ApiKey.METADATA, Direction.RESPONSE, "cluster_authorized_operations", -2147483648),
        (ApiKey.METADATA, Direction.RESPONSE, "cluster_id", None),
        (ApiKey.METADATA, Direction.RESPONSE, "throttle_time_ms", 0),
        (ApiKey.FETCH, Direction.REQUEST, "max_bytes", 0x7FFFFFFF),
        (ApiKey.FETCH, Direction.REQUEST, "topics.partitions.log_start_offset", -1),
        (ApiKey.PRODUCE, Direction.REQUEST, "topic_data.partition_data.records", None),
        (ApiKey.PRODUCE, Direction.RESPONSE, "responses.partition_responses.log_append_time_ms", -1),
        (ApiKey.CREATE_TOPICS, Direction.REQUEST, "timeout_ms", 60_000),
        (ApiKey.CONSUMER_GROUP_HEARTBEAT, Direction.REQUEST, "topic_partitions", None),
        (ApiKey.CONSUMER_GROUP_HEARTBEAT, Direction.REQUEST, "rebalance_timeout_ms", -1),
        (ApiKey.LIST_PARTITION_REASSIGNMENTS, Direction.REQUEST, "topics", None),
        (ApiKey.ASSIGN_REPLICAS_TO_DIRS, Direction.REQUEST, "directories.id", ZERO_UUID),
    ],
)
def test_defaults_are_kafkas(api: ApiKey, direction: Direction, path: str, default: object):
    for version in versions_of(api):
        found = field_of(api, version, direction, path).default
        assert (found, type(found)) == (default, type(default))


def test_kios_schemas_know_the_versions_that_we_advertise():
    for api in schemas.ApiKey:
        assert versions_of(api) == list(range(versions_of(api)[0], versions_of(api)[-1] + 1))
