"""Short ways to say the requests that scenarios repeat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from support.handmade import LZ4, TIMESTAMP_MS, Record, records
from support.scenarios import Batch, Kept, Step, call, every
from support.wire import Api

TIMEOUT_MS = 30_000
KEEP_FOREVER = {"log.retention.ms": "-1"}
MADE_UP_ID = "11112222333344445555666677778888"


def topic(
    name: Any,
    partitions: int = 1,
    replication_factor: int = 1,
    *,
    configs: Mapping[str, str | None] | Sequence[tuple[str, str | None]] = (),
    assignments: Sequence[tuple[int, Sequence[int]]] = (),
) -> dict[str, Any]:
    """One topic of CreateTopics; with `assignments` the two counts should be -1."""
    pairs = configs.items() if isinstance(configs, Mapping) else configs
    return {
        "name": name,
        "num_partitions": partitions,
        "replication_factor": replication_factor,
        "configs": [{"name": key, "value": value} for key, value in pairs],
        "assignments": [{"partition_index": at, "broker_ids": list(brokers)} for at, brokers in assignments],
    }


def create(label: str, *topics: dict[str, Any], version: int = 7, timeout_ms: int = TIMEOUT_MS, **more: Any) -> Step:
    return call(Api.CREATE_TOPICS, version, label, topics=list(topics), timeout_ms=timeout_ms, **more)


def create_and_keep_id(name: str, partitions: int = 1, **configs: str) -> Step:
    """Its id is kept as `<name> id`; `configs` are written with _ for the dots."""
    made = topic(name, partitions, configs={key.replace("_", "."): value for key, value in configs.items()})
    return call(
        Api.CREATE_TOPICS,
        7,
        f"set up {name}",
        topics=[made],
        timeout_ms=TIMEOUT_MS,
        keep={f"{name} id": "topics.0.topic_id"},
    )


def produce_fields(
    version: int,
    records: Any,
    *,
    name: Any = None,
    topic_id: Any = None,
    partition: int = 0,
    acks: int = -1,
    timeout_ms: int = TIMEOUT_MS,
    transactional_id: str | None = None,
) -> dict[str, Any]:
    """A Produce request for one partition, by name or, from v13, by id."""
    target = {"topic_id": topic_id} if version >= 13 else {"name": name}
    return {
        "transactional_id": transactional_id,
        "acks": acks,
        "timeout_ms": timeout_ms,
        "topic_data": [target | {"partition_data": [{"index": partition, "records": records}]}],
    }


def produce(
    label: str,
    name: str,
    records: Batch | bytes | None,
    *,
    version: int = 12,
    partition: int = 0,
    **more: Any,
) -> Step:
    keep = more.pop("keep", None)
    fields = produce_fields(version, records, name=name, partition=partition, **more)
    return call(Api.PRODUCE, version, label, keep=keep, **fields)


def fetch_fields(
    version: int,
    *partitions: dict[str, Any],
    name: Any = None,
    topic_id: Any = None,
    max_wait_ms: int = 0,
    min_bytes: int = 0,
    max_bytes: int = 1 << 24,
    **more: Any,
) -> dict[str, Any]:
    """A Fetch request for partitions of one topic; no partitions, no topic."""
    target = {"topic_id": topic_id} if version >= 13 else {"topic": name}
    topics = [target | {"partitions": list(partitions)}] if partitions else []
    return {
        "max_wait_ms": max_wait_ms,
        "min_bytes": min_bytes,
        "max_bytes": max_bytes,
        "topics": topics,
    } | more


def fetch_partition(partition: int = 0, offset: Any = 0, *, max_bytes: int = 1 << 20, **more: Any) -> dict[str, Any]:
    return {"partition": partition, "fetch_offset": offset, "partition_max_bytes": max_bytes} | more


def fetch(label: str, name: str, *partitions: dict[str, Any], version: int = 12, **more: Any) -> Step:
    keep = more.pop("keep", None)
    fields = fetch_fields(version, *partitions, name=name, **more)
    return call(Api.FETCH, version, label, keep=keep, **fields)


def metadata(label: str, *names: str, version: int = 12, create: bool = False, **more: Any) -> Step:
    return call(
        Api.METADATA,
        version,
        label,
        topics=[{"name": name} for name in names],
        allow_auto_topic_creation=create,
        **more,
    )


def in_every_version(records_: Any, name: str, **more: Any) -> list[Step]:
    return every(
        Api.PRODUCE,
        lambda v: produce_fields(v, records_, name=name, topic_id=Kept(f"{name} id"), **more),
    )


def read(label: str, name: str, offset: int = 0, **more: Any) -> Step:
    return fetch(label, name, fetch_partition(0, offset), **more)


def several(version: int, *topics: tuple[str, list[tuple[int, Any]]], acks: int = -1) -> dict[str, Any]:
    return {
        "transactional_id": None,
        "acks": acks,
        "timeout_ms": TIMEOUT_MS,
        "topic_data": [
            {"name": name, "partition_data": [{"index": at, "records": data} for at, data in partitions]}
            for name, partitions in topics
        ],
    }


def fetches(*parts: dict[str, Any], name: str = "f", **more: Any) -> list[Step]:
    return every(Api.FETCH, lambda v: fetch_fields(v, *parts, name=name, topic_id=Kept(f"{name} id"), **more))


def by_id(label: str, uid: Any, *parts: dict[str, Any], version: int = 16, **more: Any) -> Step:
    keep = more.pop("keep", None)
    fields = fetch_fields(version, *parts, topic_id=uid, **more)
    return call(Api.FETCH, version, label, keep=keep, **fields)


def filled(name: str) -> list[Step]:
    """Offsets 0 to 5 in three batches: 2 plain, 3 LZ4, 1 plain with headers and nulls."""
    return [
        produce("0 and 1", name, Batch(records(b"a", b"b", keys=[b"k", None]))),
        produce("2 to 4", name, Batch(records(b"c", b"d", b"e"), codec=LZ4, timestamp=TIMESTAMP_MS + 10)),
        produce("5", name, Batch([Record(None, None, [("h", b"x"), ("n", None)])], timestamp=TIMESTAMP_MS + 5)),
    ]


GOOD = Batch(records(b"one", b"two", None, keys=[b"k", None, b"k"]))
