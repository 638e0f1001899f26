"""The few requests that these tests make by hand, and what is told of the one topic or partition they are about."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ottla.protocol.records import BatchBuilder
from support.wire import Api, Connection

from .ledger import TopicPartition

PRODUCE_VERSION = 9
FETCH_VERSION = 11
TIMEOUT_MS = 10_000

Told = dict[str, Any]


def create_topic(
    connection: Connection, name: str, *, partition_count: int = 1, configs: Mapping[str, str] | None = None
) -> Told:
    asked = {
        "name": name,
        "num_partitions": partition_count,
        "replication_factor": 1,
        "assignments": [],
        "configs": [{"name": key, "value": value} for key, value in (configs or {}).items()],
    }
    answer = connection.call(Api.CREATE_TOPICS, 7, topics=[asked], timeout_ms=TIMEOUT_MS, validate_only=False)
    return answer["topics"][0]


def topics_of(connection: Connection) -> dict[str, Told]:
    """Metadata of every topic, by name."""
    answer = connection.call(
        Api.METADATA, 12, topics=None, allow_auto_topic_creation=False, include_topic_authorized_operations=False
    )
    return {topic["name"]: topic for topic in answer["topics"]}


def produce(connection: Connection, partition: TopicPartition, values: list[bytes], *, acks: int = -1) -> Told:
    """One batch, stamped with the time now."""
    answer = connection.call(Api.PRODUCE, PRODUCE_VERSION, **produce_fields(partition, values, acks=acks))
    return answer["responses"][0]["partition_responses"][0]


def produce_fields(partition: TopicPartition, values: list[bytes], *, acks: int) -> dict[str, Any]:
    builder = BatchBuilder()
    for value in values:
        builder.append(int(time.time() * 1000), None, value)
    data = [{"index": partition.partition, "records": bytes(builder.build())}]
    return {
        "transactional_id": None,
        "acks": acks,
        "timeout_ms": TIMEOUT_MS,
        "topic_data": [{"name": partition.topic, "partition_data": data}],
    }


def fetch(connection: Connection, partition: TopicPartition, offset: int, *, max_bytes: int) -> Told:
    """What is there now, without waiting."""
    fields = fetch_fields(partition, offset, max_bytes=max_bytes)
    answer = connection.call(Api.FETCH, FETCH_VERSION, **fields)
    return answer["responses"][0]["partitions"][0]


def fetch_fields(
    partition: TopicPartition, offset: int, *, max_bytes: int, min_bytes: int = 0, max_wait_ms: int = 0
) -> dict[str, Any]:
    asked = {
        "partition": partition.partition,
        "current_leader_epoch": -1,
        "fetch_offset": offset,
        "log_start_offset": -1,
        "partition_max_bytes": max_bytes,
    }
    return {
        "replica_id": -1,
        "max_wait_ms": max_wait_ms,
        "min_bytes": min_bytes,
        "max_bytes": max_bytes,
        "isolation_level": 0,
        "session_id": 0,
        "session_epoch": -1,
        "topics": [{"topic": partition.topic, "partitions": [asked]}],
        "forgotten_topics_data": [],
        "rack_id": "",
    }
